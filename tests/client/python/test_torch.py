"""lossd.torch.Loss against PyTorch's own losses."""

import copy

import pytest
import torch
from torch.nn import functional

import lossd
from lossd.torch import Loss

LOGITS = {"prediction_kind": "LOGITS"}


def randn(*shape, seed=1, **keywords):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed),
                       dtype=torch.float64, **keywords)


def labels(*shape, classes):
    return torch.randint(classes, shape,
                         generator=torch.Generator().manual_seed(2))


# Where strict semantics are PyTorch's: name, keywords, predictions, targets,
# PyTorch's function. Probabilities and weights lie well inside their ranges.
LOGIT_ROWS = randn(7, 5)
DISTRIBUTIONS = torch.softmax(randn(7, 5, seed=3), 1)
SAME = {
    "mse": ("mse", {}, randn(6, 3), randn(6, 3, seed=2), functional.mse_loss),
    "mae": ("mae", {}, randn(6, 3), randn(6, 3, seed=2), functional.l1_loss),
    "huber": ("huber", {"delta": 0.4}, randn(6, 3), randn(6, 3, seed=2),
              lambda p, t: functional.huber_loss(p, t, delta=0.4)),
    "bce_logits": (
        "bce", {**LOGITS, "pos_weight": torch.tensor([1.0, 2, 3])},
        randn(6, 3), torch.rand(6, 3, dtype=torch.float64),
        lambda p, t: functional.binary_cross_entropy_with_logits(
            p, t, pos_weight=torch.tensor([1.0, 2, 3]))),
    "bce_probabilities": (
        "bce", {"prediction_kind": "PROBABILITIES"},
        torch.sigmoid(randn(6, 3)), torch.rand(6, 3, dtype=torch.float64),
        functional.binary_cross_entropy),
    "scce": (
        "scce", {**LOGITS, "label_smoothing": 0.1}, LOGIT_ROWS,
        labels(7, classes=5),
        lambda p, t: functional.cross_entropy(p, t, label_smoothing=0.1)),
    "scce_weighted": (
        "scce", {**LOGITS, "ignore_index": 2, "reduction": "weighted_mean",
                 "class_weights": torch.tensor([1.0, 2, 3, 0.5, 1])},
        LOGIT_ROWS, labels(7, classes=5),
        lambda p, t: functional.cross_entropy(
            p, t, ignore_index=2,
            weight=torch.tensor([1.0, 2, 3, 0.5, 1], dtype=torch.float64))),
    "scce_of_images": (
        "sparse_cross_entropy", LOGITS, randn(2, 5, 3, 4),
        labels(2, 3, 4, classes=5), functional.cross_entropy),
    "nll": (
        "scce", {"prediction_kind": "LOG_PROBABILITIES"},
        torch.log_softmax(LOGIT_ROWS, 1), labels(7, classes=5),
        functional.nll_loss),
    "cce": ("cce", LOGITS, LOGIT_ROWS, DISTRIBUTIONS, functional.cross_entropy),
    "cce_of_sequences": (
        "cce", LOGITS, randn(2, 5, 3),
        torch.softmax(randn(2, 5, 3, seed=4), 1), functional.cross_entropy),
    "kld": (
        "kld", {"prediction_kind": "LOG_PROBABILITIES",
                "reduction": "batchmean"},
        torch.log_softmax(LOGIT_ROWS, 1), DISTRIBUTIONS,
        lambda p, t: functional.kl_div(p, t, reduction="batchmean")),
    "kld_log_targets": (
        "kld", {"prediction_kind": "LOG_PROBABILITIES", "reduction": "sum",
                "target_kind": "LOG_PROBABILITIES"},
        torch.log_softmax(LOGIT_ROWS, 1), DISTRIBUTIONS.log(),
        lambda p, t: functional.kl_div(p, t, reduction="sum",
                                       log_target=True)),
}


def run(function, predictions, targets):
    predictions = predictions.clone().requires_grad_()
    loss = function(predictions, targets)
    loss.backward()
    return loss.detach(), predictions.grad


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_equals_pytorch(server, name, dtype):
    loss, keywords, predictions, targets, theirs = SAME[name]
    targets = targets.to(dtype) if targets.is_floating_point() else targets
    criterion = Loss(loss, server.target, **keywords)
    ours = run(criterion, predictions.to(dtype), targets)
    # PyTorch in double is the measure of both; a float32 input is rounded
    # before either sees it, the results once.
    wide = [predictions.to(dtype).double(),
            targets.double() if targets.is_floating_point() else targets]
    expected = run(theirs, *wide)
    # 4 ulp of each element or, row-wise, of the largest gradient of a row,
    # which is below 1 here.
    bound = 4 * torch.finfo(dtype).eps
    for mine, other in zip(ours, expected):
        assert mine.dtype == dtype and mine.shape == other.shape
        torch.testing.assert_close(mine.double(), other, rtol=bound,
                                   atol=bound)


@pytest.mark.parametrize("name", SAME)
def test_gradcheck(server, name):
    loss, keywords, predictions, targets, _ = SAME[name]
    criterion = Loss(loss, server.target, **keywords)
    assert torch.autograd.gradcheck(
        lambda p: criterion(p, targets), predictions.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types(server, dtype):
    criterion = Loss("scce", server.target, **LOGITS)
    predictions = LOGIT_ROWS.to(dtype)
    loss, gradient = run(criterion, predictions, labels(7, classes=5))
    assert loss.dtype == gradient.dtype == dtype
    wide_loss, wide_gradient = run(criterion, predictions.float(),
                                   labels(7, classes=5))
    assert torch.equal(loss, wide_loss.to(dtype))
    assert torch.equal(gradient, wide_gradient.to(dtype))


def test_rows_with_an_upstream_vector(server):
    criterion = Loss("scce", server.target, reduction="none", **LOGITS)
    targets, upstream = labels(7, classes=5), randn(7, seed=5)

    def gradient(function):
        predictions = LOGIT_ROWS.clone().requires_grad_()
        losses = function(predictions)
        losses.backward(upstream)
        return losses.detach(), predictions.grad

    ours = gradient(lambda p: criterion(p, targets))
    theirs = gradient(
        lambda p: functional.cross_entropy(p, targets, reduction="none"))
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=1e-14, atol=1e-15)


def test_rows_of_images_with_an_upstream(server):
    criterion = Loss("scce", server.target, reduction="none", **LOGITS)
    images, targets = randn(2, 5, 3, 4), labels(2, 3, 4, classes=5)
    upstream = randn(2, 3, 4, seed=6)

    def gradient(function):
        predictions = images.clone().requires_grad_()
        function(predictions).backward(upstream)
        return predictions.grad

    torch.testing.assert_close(
        gradient(lambda p: criterion(p, targets)),
        gradient(lambda p: functional.cross_entropy(p, targets,
                                                    reduction="none")),
        rtol=1e-14, atol=1e-15)


def test_rows_of_vectors_with_an_upstream(server):
    criterion = Loss("mse", server.target, reduction="none")
    predictions = randn(5).requires_grad_()
    upstream = randn(5, seed=7)
    criterion(predictions, torch.zeros(5)).backward(upstream)
    torch.testing.assert_close(predictions.grad,
                               2 * predictions.detach() * upstream)


def test_gradients_are_never_overwritten(server):
    criterion = Loss("mse", server.target)
    predictions = torch.ones(1000, requires_grad=True)
    loss = criterion(predictions, torch.zeros(1000))
    loss.backward(retain_graph=True)
    first = predictions.grad
    kept = first.clone()
    # Accumulates in place, into the tensor of the first backward.
    loss.backward(retain_graph=True)
    assert torch.equal(predictions.grad, 2 * kept)
    predictions.grad = None
    loss.backward()
    assert torch.equal(predictions.grad, kept)
    criterion(torch.full((1000,), 5.0, requires_grad=True),
              torch.zeros(1000)).backward()
    assert torch.equal(predictions.grad, kept)


def test_weights_and_mask(server):
    criterion = Loss("mse", server.target)
    weights, mask = torch.tensor([1.0, 2, 3]), torch.tensor([1, 0, 1]).bool()
    loss = criterion(torch.tensor([[1.0, 1], [2, 2], [3, 3]]),
                     torch.zeros(3, 2), weights, mask)
    assert loss == (1 + 27) / 2


def test_without_gradient_none_is_asked_for(server, monkeypatch):
    criterion = Loss("mse", server.target)
    asked = []
    compute = criterion.client.compute
    monkeypatch.setattr(
        criterion.client, "compute",
        lambda *args, **keywords: asked.append(keywords["outputs"]) or
        compute(*args, **keywords))
    criterion(torch.ones(3), torch.zeros(3))
    criterion(torch.ones(3, requires_grad=True), torch.zeros(3))
    assert asked == [(), ("gradient",)]


def test_second_derivatives_are_refused(server):
    predictions = randn(3).requires_grad_()
    loss = Loss("mse", server.target)(predictions, torch.zeros(3))
    with pytest.raises(RuntimeError, match="differentiated once"):
        torch.autograd.grad(loss, predictions, create_graph=True)


def test_in_a_model(server):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3))
    model.criterion = Loss("scce", server.target, **LOGITS)
    again = copy.deepcopy(model)
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    assert repr(model.criterion) == (
        "Loss('sparse_categorical_cross_entropy', reduction='mean', "
        "prediction_kind='LOGITS')")
    for one in (model, again):
        one.criterion(one[0](torch.ones(2, 4)),
                      torch.tensor([0, 1])).backward()
        assert one[0].weight.grad.abs().sum() > 0


def test_errors_pass_through(server):
    criterion = Loss("scce", server.target, **LOGITS)
    with pytest.raises(lossd.InvalidArgument, match="0-based"):
        criterion(torch.zeros(2, 3), torch.tensor([1, 3]))
