"""Functions that PyTorch has no exact form of, in float64."""

import torch
import torch.nn.functional as F


def softplus(x):
    """log(1 + e^x) with all its digits (F.softplus cuts off at 20)."""
    return -F.logsigmoid(-x)


def surprisal(logits):
    """-log softmax of each class, a sum of terms that are never negative."""
    largest, at = logits.max(-1, keepdim=True)
    others = torch.exp(logits - largest).scatter(-1, at, 0.0)
    return torch.log1p(others.sum(-1, keepdim=True)) + (largest - logits)


def softmax(logits):
    return torch.exp(-surprisal(logits))


def labels_of(x):
    """Labels with those that are ignored replaced by a class."""
    return x.t.clamp(min=0)


def pick(numbers, labels):
    return numbers.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


def one_hot(x):
    return F.one_hot(labels_of(x), x.p.shape[-1]).double()
