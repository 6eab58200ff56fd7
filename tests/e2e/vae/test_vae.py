"""The two terms of a variational auto-encoder's loss from lossd: training goes
where it goes with PyTorch's own."""

import pytest
import torch
from autoencoder import train
from torch.nn import functional

import lossd.torch


def pytorch_drawing_loss(logits, pixels):
    return functional.binary_cross_entropy_with_logits(logits, pixels,
                                                       reduction="sum")


def pytorch_code_loss(mean, log_variance):
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()


@pytest.fixture(scope="module")
def expected():
    return train(pytorch_drawing_loss, pytorch_code_loss)


def test_ends_at_the_loss_of_pytorch(server, expected):
    drawing = lossd.torch.Loss("binary_cross_entropy", server.target, "sum",
                               prediction_kind="LOGITS", semantics="PYTORCH")
    code = lossd.torch.Loss("gaussian_kl", server.target, "sum")
    losses = train(drawing, lambda mean, log_variance: code(
        mean, log_variance=log_variance))
    # In float64 both differ by rounding, some 1e-16 a step, which training
    # amplifies: by 1e4 in these 160 steps (measured: 1e-12), so far from 1e-8.
    assert losses == pytest.approx(expected, rel=1e-8)


def test_it_has_learned(expected):
    assert expected[-1] < 0.75 * expected[0]


@pytest.mark.parametrize("spoilt", ["drawing", "code"])
def test_another_loss_would_end_elsewhere(expected, spoilt):
    """So the comparison can fail: one term off by one part in a million."""
    factor = {"drawing": 1.0, "code": 1.0, spoilt: 1 + 1e-6}
    losses = train(lambda *a: factor["drawing"] * pytorch_drawing_loss(*a),
                   lambda *a: factor["code"] * pytorch_code_loss(*a))
    assert losses != pytest.approx(expected, rel=1e-8)
