"""lossd.keras.losses, with a stand-in for the few functions of Keras that it
calls: Debian has no Keras. Expected values follow Keras' definitions, written
out with torch in double."""

import pathlib
import sys

import numpy
import pytest
import torch

import lossd

sys.path.insert(0, str(pathlib.Path(__file__).parent / "keras_stand_in"))
from lossd.keras import losses  # noqa: E402


@pytest.fixture(autouse=True)
def use_server(client):
    losses.use_client(client)


def randn(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(seed))


VALUES, TRUTH = randn(6, 3), randn(6, 3, seed=2)
PROBABILITIES = torch.softmax(VALUES, 1)
DISTRIBUTIONS = torch.softmax(TRUTH, 1)
BITS = (TRUTH > 0).double()
LABELS = torch.tensor([0, 2, 1, 1, 0, 2])
ONE_HOT = torch.nn.functional.one_hot(LABELS, 3).double()


def huber(t, p):
    r = (p - t).abs()
    return torch.where(r <= 0.5, r * r / 2, 0.5 * r - 0.125).mean(-1)


def bce(t, p):
    return -(t * p.log() + (1 - t) * (1 - p).log()).mean(-1)


def cce(t, p):
    return -(t * (p / p.sum(-1, keepdim=True)).log()).sum(-1)


# The loss as Keras makes it, y_true, y_pred, the loss of each row.
CASES = {
    "MeanSquaredError": (losses.MeanSquaredError, {}, TRUTH, VALUES,
                         lambda t, p: ((p - t) ** 2).mean(-1)),
    "MeanAbsoluteError": (losses.MeanAbsoluteError, {}, TRUTH, VALUES,
                          lambda t, p: (p - t).abs().mean(-1)),
    "MeanSquaredLogarithmicError": (
        losses.MeanSquaredLogarithmicError, {}, TRUTH.abs(), VALUES.abs(),
        lambda t, p: ((p.log1p() - t.log1p()) ** 2).mean(-1)),
    "Huber": (losses.Huber, {"delta": 0.5}, TRUTH, VALUES, huber),
    "Hinge": (losses.Hinge, {}, 2 * BITS - 1, VALUES,
              lambda t, p: (1 - t * p).clamp(min=0).mean(-1)),
    "Hinge_of_bits": (losses.Hinge, {}, BITS, VALUES,
                      lambda t, p: (1 - (2 * t - 1) * p).clamp(min=0).mean(-1)),
    "BinaryCrossentropy": (losses.BinaryCrossentropy, {}, BITS,
                           torch.sigmoid(VALUES), bce),
    "BinaryCrossentropy_logits": (
        losses.BinaryCrossentropy,
        {"from_logits": True, "label_smoothing": 0.2}, BITS, VALUES,
        lambda t, p: bce(0.8 * t + 0.1, torch.sigmoid(p))),
    "CategoricalCrossentropy": (losses.CategoricalCrossentropy, {},
                                DISTRIBUTIONS, PROBABILITIES, cce),
    "CategoricalCrossentropy_logits": (
        losses.CategoricalCrossentropy,
        {"from_logits": True, "label_smoothing": 0.3}, ONE_HOT, VALUES,
        lambda t, p: cce(0.7 * t + 0.1, torch.softmax(p, -1))),
    "SparseCategoricalCrossentropy": (
        losses.SparseCategoricalCrossentropy, {}, LABELS, PROBABILITIES,
        lambda t, p: cce(ONE_HOT, p)),
    "SparseCategoricalCrossentropy_logits": (
        losses.SparseCategoricalCrossentropy, {"from_logits": True},
        LABELS.double(), VALUES,
        lambda t, p: cce(ONE_HOT, torch.softmax(p, -1))),
    "KLDivergence": (losses.KLDivergence, {}, DISTRIBUTIONS, PROBABILITIES,
                     lambda t, p: (t * (t / p).log()).sum(-1)),
}
REDUCED = {
    "sum_over_batch_size": lambda rows, w: (w * rows).sum() / len(rows),
    "mean": lambda rows, w: (w * rows).sum() / len(rows),
    "sum": lambda rows, w: (w * rows).sum(),
    "mean_with_sample_weight": lambda rows, w: (w * rows).sum() / w.sum(),
    "none": lambda rows, w: w * rows,
    None: lambda rows, w: w * rows,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name, reduction, weighted):
    make, keywords, y_true, y_pred, rows = CASES[name]
    weights = torch.arange(1.0, 7.0, dtype=torch.float64) if weighted else None

    def run(function):
        predictions = y_pred.clone().requires_grad_()
        loss = function(predictions)
        loss.backward(torch.full_like(loss, 0.5))
        return loss.detach(), predictions.grad

    ours = run(lambda p: make(reduction=reduction, **keywords)(
        y_true, p, sample_weight=weights))
    expected = run(lambda p: REDUCED[reduction](
        rows(y_true, p), torch.ones(6) if weights is None else weights))
    # Keras clips probabilities below 1e-7, which none of these is; what is
    # written out here loses a few digits where terms cancel.
    for mine, other in zip(ours, expected):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-14)


def test_all_nine_names():
    names = {name.partition("_")[0] for name in CASES}
    assert names == {"MeanSquaredError", "MeanAbsoluteError", "KLDivergence",
                     "MeanSquaredLogarithmicError", "Huber", "Hinge",
                     "BinaryCrossentropy", "CategoricalCrossentropy",
                     "SparseCategoricalCrossentropy"}


def test_ignore_class_and_mask():
    loss = losses.SparseCategoricalCrossentropy(ignore_class=2)
    kept = LABELS != 2
    assert loss(LABELS, PROBABILITIES).item() == pytest.approx(
        cce(ONE_HOT, PROBABILITIES)[kept].mean().item(), rel=1e-14)
    masked = VALUES.clone()
    masked._keras_mask = kept
    assert losses.MeanSquaredError()(TRUTH, masked).item() == pytest.approx(
        ((VALUES - TRUTH) ** 2).mean(-1)[kept].mean().item(), rel=1e-14)


def test_ranks_that_differ_by_an_axis_of_one():
    column = VALUES[:, :1]
    expected = losses.MeanSquaredError()(TRUTH[:, :1], column)
    assert losses.MeanSquaredError()(TRUTH[:, 0], column) == expected
    assert losses.SparseCategoricalCrossentropy()(
        LABELS[:, None], PROBABILITIES) == losses.SparseCategoricalCrossentropy(
        )(LABELS, PROBABILITIES)


def test_weights_are_broadcast():
    loss = losses.MeanSquaredError(reduction="sum")
    assert loss(TRUTH, VALUES, sample_weight=2.0).item() == pytest.approx(
        2 * loss(TRUTH, VALUES).item(), rel=1e-15)
    assert loss(TRUTH, VALUES, sample_weight=numpy.full((6, 1), 2.0)) == loss(
        TRUTH, VALUES, sample_weight=2.0)


def test_saturated_probabilities_are_clipped():
    predictions = torch.tensor([[1.0], [0.0]], requires_grad=True)
    loss = losses.BinaryCrossentropy()(torch.tensor([[0.0], [0.0]]),
                                       predictions)
    loss.backward()
    assert loss.item() == pytest.approx(-numpy.log(2 ** -23) / 2, rel=0.05)
    assert predictions.grad.tolist() == [[0], [0]]


def test_float32_stays_float32():
    loss = losses.MeanSquaredError()(TRUTH.float(), VALUES.float())
    assert loss.dtype == torch.float32


def test_unknown_reduction():
    with pytest.raises(ValueError, match="'avg'.*sum_over_batch_size"):
        losses.Huber(reduction="avg")


def test_errors_pass_through():
    with pytest.raises(lossd.InvalidArgument, match="0-based"):
        losses.SparseCategoricalCrossentropy()(LABELS + 1, PROBABILITIES)
