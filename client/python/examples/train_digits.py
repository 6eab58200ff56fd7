"""Trains a network on handwritten digits. The loss is lossd's: the line that
makes `criterion` is all that differs from a script without it.

    lossd &
    python train_digits.py
"""

import torch
from sklearn.datasets import load_digits

import lossd.torch

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 16
labels = torch.tensor(digits.target)
train, test = slice(0, 1400), slice(1400, None)

model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(),
                            torch.nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
# criterion = torch.nn.CrossEntropyLoss()
criterion = lossd.torch.Loss("sparse_categorical_cross_entropy",
                             prediction_kind="LOGITS")

for epoch in range(10):
    order = torch.randperm(1400)
    for batch in order.split(100):
        optimizer.zero_grad()
        loss = criterion(model(images[train][batch]), labels[train][batch])
        loss.backward()
        optimizer.step()
    hits = model(images[test]).argmax(1) == labels[test]
    print(f"epoch {epoch}: loss {loss.item():.4f}, "
          f"accuracy {hits.float().mean().item():.3f}")
