"""A small variational auto-encoder of handwritten digits, whose loss has two
terms: how badly a digit is drawn again, and how far its code is from the prior.
"""

import torch
from sklearn.datasets import load_digits

PIXELS, HIDDEN, CODE = 64, 32, 4
BATCH, EPOCHS = 256, 20


class Autoencoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Linear(PIXELS, HIDDEN), torch.nn.Tanh(),
            torch.nn.Linear(HIDDEN, 2 * CODE))
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(CODE, HIDDEN), torch.nn.Tanh(),
            torch.nn.Linear(HIDDEN, PIXELS))

    def forward(self, images, noise):
        mean, log_variance = self.encoder(images).chunk(2, dim=-1)
        code = mean + noise * (log_variance / 2).exp()
        return self.decoder(code), mean, log_variance


def train(drawing_loss, code_loss, dtype=torch.float64):
    """Trains from a fixed seed and returns the loss of each epoch.

    Args:
        drawing_loss: of logits and pixels in [0, 1], summed over the batch.
        code_loss: of means and log-variances, summed over the batch.
    """
    torch.manual_seed(0)
    images = torch.tensor(load_digits().data, dtype=dtype) / 16
    model = Autoencoder().to(dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(images)).split(BATCH):
            noise = torch.randn(len(batch), CODE, dtype=dtype)
            logits, mean, log_variance = model(images[batch], noise)
            loss = (drawing_loss(logits, images[batch]) +
                    code_loss(mean, log_variance)) / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch) / len(images)
        losses.append(total)
    return losses
