"""What random numbers do not hit: numbers that are not finite, ends of ranges,
and the places where PyTorch is known to be less exact or to say NaN.
"""

import math
import types

import numpy
import pytest
import torch
from problems import Problem, draw
from reference import inputs_of
from table import ROWS

ROW = {row.name: row for row in ROWS}
NAN, INF = math.nan, math.inf
POISONS = (NAN, INF, -INF)
SHAPE = (5, 4)

# (row, input, poison): why lossd's loss may be of another kind than PyTorch's.
NO_MASS = "what has no target mass is not looked at: its term is 0"
OTHERWISE = {
    ("binary_cross_entropy_with_logits", "predictions", "-inf"):
        "the loss of target 1 is infinite; PyTorch subtracts infinities",
    ("cross_entropy of distributions", "predictions", "-inf"):
        "an impossible class without target mass adds 0; PyTorch: 0 times inf",
    ("kl_div of probabilities", "predictions", "nan"): NO_MASS,
    ("kl_div of probabilities", "predictions", "inf"): NO_MASS,
    ("kl_div of probabilities", "predictions", "-inf"): NO_MASS,
    ("kl_div of log-probabilities", "targets", "-inf"): NO_MASS,
    ("multi_margin_loss", "predictions", "nan"):
        "a score that is no number makes its row NaN; PyTorch leaves out what "
        "does not compare greater than 0",
}


def kind_of(numbers):
    """0 finite, 1 and -1 infinite, 2 NaN."""
    numbers = numpy.asarray(numbers, "float64")
    signs = numpy.where(numpy.isinf(numbers), numpy.sign(numbers), 0)
    return numpy.where(numpy.isnan(numbers), 2, signs)


def poisoned(row, seed):
    """One problem for each float input and each poison, in its first row."""
    rng = numpy.random.default_rng(seed)
    setting = row.settings[0]
    for name, source in row.inputs.items():
        if source.whole or source.optional or source.shape == "labels":
            continue
        for poison in POISONS:
            for dtype in ("float32", "float64"):
                problem = draw(rng, row, setting, "PYTORCH", dtype, SHAPE,
                               "NONE", plain=True, grid=False)
                for key in problem.dtypes:
                    if not row.inputs[key].shape.endswith("labels"):
                        problem.dtypes[key] = dtype
                numbers = problem.given[name].copy()
                numbers.flat[1] = poison
                problem.given[name] = problem.sent[name] = numbers
                yield name, poison, problem


def kinds_in_pytorch(problem):
    dtype = getattr(torch, problem.dtypes["predictions"])
    x, _ = inputs_of(problem, dtype)
    try:
        losses = problem.row.torch(x, problem.o, "none")
    except (RuntimeError, ValueError):
        # It refuses, say a negative variance: lossd may say what it likes.
        return None
    return kind_of(losses.detach().reshape(problem.row_shape + (-1,)).sum(-1))


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.torch and "PYTORCH" in row.semantics],
    ids=lambda row: row.name)
def test_numbers_that_are_not_finite_propagate(row, lossd, seed):
    cases = [case for case in poisoned(row, seed)
             if kinds_in_pytorch(case[2]) is not None]
    results = lossd.compute([problem for _, _, problem in cases])
    failures = []
    for (name, poison, problem), result in zip(cases, results, strict=True):
        if result.status.code:
            failures.append(f"{problem}: {result.status.message}")
            continue
        got = kind_of(lossd.numbers(result.row_losses))
        same = (got == kinds_in_pytorch(problem)).all()
        if not same and (row.name, name, str(poison)) not in OTHERWISE:
            failures.append(f"{name} {poison}, {problem}: kinds of losses "
                            f"{got.ravel()[:4]}, PyTorch's "
                            f"{kinds_in_pytorch(problem).ravel()[:4]}")
    assert not failures, "\n".join(failures)


def compute(lossd, name, predictions, targets, reduction="NONE", options=None,
            dtype="float64", semantics="PYTORCH", **extras):
    """Losses of the rows, gradients and the loss."""
    row = ROW[name]
    inputs = {"predictions": predictions, "targets": targets} | extras
    given = {key: numpy.array(value, "float64")
             for key, value in inputs.items()}
    dtypes = {key: dtype for key in given}
    if row.labels:
        dtypes["targets"] = "int64"
    shape = given["predictions"].shape
    problem = Problem(row, semantics, shape, shape[:-1], options or {},
                      types.SimpleNamespace(), reduction, dtypes, given, given)
    result = lossd.compute([problem])[0]
    assert result.status.code == 0, result.status.message
    return (lossd.numbers(result.row_losses),
            lossd.numbers(result.gradient), result.loss)


@pytest.mark.parametrize("targets", [[2, 0.5], [-1, 0.5], [0, -3]])
def test_mass_out_of_range_is_computed_with(lossd, targets):
    """Both terms are products and sums of numbers below 8: a few units."""
    logits = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        logits, torch.tensor(targets, dtype=torch.float64))
    expected.backward()
    losses, gradient, _ = compute(
        lossd, "cross_entropy of distributions", [[1, 2]], [targets])
    numpy.testing.assert_allclose(losses, [expected.item()], rtol=0,
                                  atol=8 * 2**-50)
    numpy.testing.assert_allclose(gradient, [logits.grad.numpy()], rtol=0,
                                  atol=8 * 2**-50)


def test_log_targets_of_any_size_are_computed_with(lossd):
    """e^700 is known within a unit; the difference multiplied with is exact."""
    predictions, targets = [[-0.5, -1.0]], [[700.0, -1.0]]
    losses, gradient, _ = compute(
        lossd, "kl_div of log-probabilities", predictions, targets,
        options={"target_kind": "LOG_PROBABILITIES"})
    logs = torch.tensor(predictions).double().requires_grad_()
    expected = torch.nn.functional.kl_div(
        logs, torch.tensor(targets).double(), log_target=True, reduction="sum")
    expected.backward()
    numpy.testing.assert_allclose(losses, [expected.item()], rtol=2**-50)
    numpy.testing.assert_allclose(gradient, logs.grad.numpy(), rtol=2**-50)


def test_saturated_probabilities_of_binary_cross_entropy(lossd):
    """Logarithms end at -100, divisors at 1e-12; PyTorch's is that of float32,
    4e-9 away."""
    q = torch.tensor([0.0, 0, 1, 1, 0]).double().requires_grad_()
    t = torch.tensor([0.0, 1, 0, 1, 0.5]).double()
    expected = torch.nn.functional.binary_cross_entropy(q, t, reduction="none")
    expected.sum().backward()
    losses, gradient, _ = compute(
        lossd, "binary_cross_entropy", q.tolist(), t.tolist(),
        options={"prediction_kind": "PROBABILITIES"})
    numpy.testing.assert_allclose(losses, expected.detach(), rtol=1e-15)
    numpy.testing.assert_allclose(gradient, q.grad, rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_confident_logits_keep_their_digits(lossd, dtype):
    """PyTorch: 0 in float32, wrong by a thousandth at 30 in float64."""
    losses, gradient, _ = compute(
        lossd, "binary_cross_entropy_with_logits", [20.0, 30, 50], [1.0, 1, 1],
        options={"prediction_kind": "LOGITS"}, dtype=dtype)
    exact = [math.log1p(math.exp(-x)) for x in (20, 30, 50)]
    accuracy = 4 * 2.0**-23 if dtype == "float32" else 1e-14
    numpy.testing.assert_allclose(losses, exact, rtol=accuracy)
    numpy.testing.assert_allclose(
        gradient, [-1 / (1 + math.exp(x)) for x in (20, 30, 50)],
        rtol=accuracy)
    losses, _, _ = compute(lossd, "cross_entropy of labels", [[30.0, 0, 0]],
                           [0], dtype=dtype)
    numpy.testing.assert_allclose(losses, [math.log1p(2 * math.exp(-30))],
                                  rtol=accuracy)


def test_soft_margin_is_finite(lossd):
    """PyTorch: infinite."""
    losses, gradient, _ = compute(lossd, "soft_margin_loss", [-1000.0], [1.0])
    assert (losses, gradient) == (1000, -1)


def test_impossible_classes_without_target_mass_add_nothing(lossd):
    """PyTorch: NaN, 0 times infinity."""
    logits, targets = [[1.0, -INF, 2]], [[0.25, 0, 0.75]]
    expected = math.log(math.exp(1) + math.exp(2)) - 1.75
    losses, gradient, _ = compute(
        lossd, "cross_entropy of distributions", logits, targets)
    numpy.testing.assert_allclose(losses, [expected], rtol=1e-14)
    assert gradient[0, 1] == 0
    losses, gradient, _ = compute(
        lossd, "kl_div of probabilities", [[-0.5, -INF]], [[1.0, 0]])
    numpy.testing.assert_array_equal(losses, [0.5])
    numpy.testing.assert_array_equal(gradient, [[-1, 0]])
    losses, gradient, _ = compute(
        lossd, "kl_div of log-probabilities", [[-0.5, -3]], [[0.0, -INF]],
        options={"target_kind": "LOG_PROBABILITIES"})
    numpy.testing.assert_array_equal(losses, [0.5])
    numpy.testing.assert_array_equal(gradient, [[-1, 0]])


def test_vectors_of_zeros_have_no_direction(lossd):
    """With STRICT; PyTorch adds 1e-12 to the squared norm, which makes it a
    gradient of 1e6, and PYTORCH has the same."""
    losses, gradient, _ = compute(
        lossd, "cosine_embedding_loss", [[0.0, 0]], [1.0], semantics="STRICT",
        other_predictions=[[1.0, 0]])
    assert losses == 1
    numpy.testing.assert_array_equal(gradient, [[0, 0]])
    zero = torch.zeros(1, 2).double().requires_grad_()
    other = torch.tensor([[1.0, 0]]).double()
    torch.nn.functional.cosine_embedding_loss(
        zero, other, torch.ones(1).double()).backward()
    losses, gradient, _ = compute(
        lossd, "cosine_embedding_loss", [[0.0, 0]], [1.0],
        other_predictions=other.tolist())
    assert losses == 1
    numpy.testing.assert_allclose(gradient, zero.grad, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["", "MEAN", "SUM", "WEIGHTED_MEAN"])
def test_nothing_counts(lossd, reduction):
    """As PyTorch: a mean of nothing is NaN, a sum 0, gradients are 0."""
    expected = 0.0 if reduction == "SUM" else NAN
    _, gradient, loss = compute(lossd, "cross_entropy of labels",
                                [[1.0, 2], [3, 4]], [-100, -100], reduction)
    numpy.testing.assert_array_equal(loss, expected)
    numpy.testing.assert_array_equal(gradient, numpy.zeros((2, 2)))
    _, gradient, loss = compute(lossd, "mse_loss", [], [], reduction)
    numpy.testing.assert_array_equal(loss, expected)
    assert gradient.shape == (0,)
