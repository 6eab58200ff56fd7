"""Training steps: forward, loss, backward, optimizer."""

import time

import torch
from sklearn.datasets import load_digits
from torch import nn

# Before anything is compared.
FIRST_STEPS = 3
# A turn lasts about so long, within these bounds.
TURN_SECONDS = 0.5
FEWEST_STEPS, MOST_STEPS = 1, 60
# Losses of the same steps in float.
TOLERANCE = 1e-4


def digits():
    """A small network on handwritten digits, and its batches."""
    samples = load_digits()
    images = torch.tensor(samples.data, dtype=torch.float32) / 16
    labels = torch.tensor(samples.target)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    return model, list(zip(images.split(256), labels.split(256)))


def head32768():
    """The last layer of a model with that many classes."""
    features, labels = torch.randn(512, 256), torch.randint(32768, (512,))
    return nn.Linear(256, 32768), [(features, labels)]


WORK = {"digits": digits, "head32768": head32768}


class Training:
    """The same for everyone who is compared, but for the loss."""

    def __init__(self, name, criterion):
        torch.manual_seed(1)
        self.model, self.batches = WORK[name]()
        self.criterion = criterion
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.steps = 0

    def step(self):
        """The loss."""
        inputs, labels = self.batches[self.steps % len(self.batches)]
        self.steps += 1
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(inputs), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def first_losses(self):
        return torch.tensor([self.step() for _ in range(FIRST_STEPS)])

    def steps_of_turn(self):
        start = time.perf_counter()
        self.step()
        steps = int(TURN_SECONDS / (time.perf_counter() - start))
        return min(max(steps, FEWEST_STEPS), MOST_STEPS)


def matmul_gflops():
    """What PyTorch's BLAS can do: most of a step may be its."""
    matrix = torch.ones(512, 512)
    matrix @ matrix
    start = time.perf_counter()
    matrix @ matrix
    return 2e-9 * 512**3 / (time.perf_counter() - start)


def disagreement(losses, expected):
    """What is wrong with first losses; None if nothing is."""
    error = ((losses - expected) / expected).abs().max()
    return (None if error <= TOLERANCE
            else f"losses are off by {error:.1e} of PyTorch's")
