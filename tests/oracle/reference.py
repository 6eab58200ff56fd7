"""What PyTorch says in float64, and how far from it lossd may be.

Bounds. float64: 1e-12 of the terms that a number is the sum of: a few thousand
roundings of 2^-53. float32: 4 units in the last place of a row's loss or a
slope, which is the bound that the losses state (their headers say where it is
more), or 2^-23 of the largest slope of its row where the row is computed
together: the softmax and its difference to the target are rounded once each.
Losses add up to the loss in float64. Half types are computed in float32, and
gradients are rounded once, to nearest even: a number must lie between the
rounded ends of the interval around the exact one.
"""

import dataclasses
import types

import numpy
import torch

DOUBLE = 1e-12
SINGLE = 2.0**-23
# Below 2^-126 the numbers of float32 are 2^-149 apart; an exponential that was
# rounded to one of them is multiplied by a weight of at most 4, twice.
SMALLEST = 8 * 2.0**-149


@dataclasses.dataclass
class Bounded:
    value: numpy.ndarray
    bound: numpy.ndarray


@dataclasses.dataclass
class Expected:
    """Loss, losses of the rows, gradients by name of the input."""

    loss: Bounded
    rows: Bounded | None
    gradients: dict


def inputs_of(problem, dtype=torch.float64, given=None):
    """x, and the tensors that gradients are of; `given` takes their place."""
    row = problem.row
    rows = max(int(numpy.prod(problem.row_shape)), 0)
    # What other losses read is None.
    x = types.SimpleNamespace(shape=problem.shape, weight=None, t=None,
                              pos_weight=None, class_weights=None,
                              target_indices=None)
    leaves = {}
    for name in row.inputs:
        numbers = problem.given.get(name)
        tensor = None
        if numbers is not None:
            source = row.inputs[name]
            tensor = torch.tensor(
                numbers,
                dtype=(torch.int64 if source.shape.endswith("labels")
                       else dtype))
            if name == "predictions" or source.differentiable:
                leaves[name] = tensor = (given[name] if given else
                                         tensor.requires_grad_())
            tensor = _laid_out(tensor, row.layout, source.shape, problem.shape,
                               rows)
        setattr(x, {"predictions": "p", "targets": "t"}.get(name, name), tensor)
    return x, leaves


def _laid_out(tensor, layout, shape, whole_shape, rows):
    if layout == "elements" or shape == "columns":
        return tensor
    if layout == "tokens" or shape in ("rows", "labels"):
        return tensor.reshape(-1)
    if shape.startswith("top_k"):
        return tensor.reshape(rows, tensor.shape[-1])
    last = whole_shape[-1] if layout == "rows" else (
        int(numpy.prod(whole_shape)) // max(rows, 1))
    return tensor.reshape(rows, last)


def per_row(problem, losses):
    """Losses of elements as losses of rows, flat."""
    if (problem.row.layout == "elements" and problem.semantics == "STRICT" and
            losses.ndim > 1):
        losses = losses.mean(-1)
    return losses.reshape(-1)


def single(problem):
    """Whether lossd computes in float32."""
    return not problem.row.double and "float64" not in problem.dtypes.values()


def in_force(problem):
    if problem.reduction:
        return problem.reduction
    # PyTorch's multi_margin_loss alone divides by rows, not by their weights.
    weighted = problem.row.labels and "class_weights" in problem.given
    return (problem.row.torch_mean
            if weighted and problem.semantics == "PYTORCH" else "MEAN")


def normalizer_of(problem, x, weights, counts):
    reduction = in_force(problem)
    if reduction in ("NONE", "SUM"):
        return 1.0
    if reduction == "BATCHMEAN":
        return float(problem.shape[0] if problem.shape else 1)
    if reduction == "WEIGHTED_MEAN":
        if problem.row.class_weight and "class_weights" in problem.given:
            weights = weights * problem.row.class_weight(x, problem.o).detach()
        return float(weights[counts].sum())
    if problem.normalizer is not None:
        return problem.normalizer
    elements = problem.shape[-1] if (problem.row.mean_over_elements and
                                     problem.semantics == "PYTORCH") else 1
    return float(counts.sum() * elements)


def expected_of(problem):
    """By the definition of the reductions, from the losses of the rows."""
    row, o = problem.row, problem.o
    x, leaves = inputs_of(problem)
    losses = row.formula(x, o) if row.formula else row.torch(x, o, "none")
    losses = per_row(problem, losses)
    counts = torch.tensor(problem.counts)
    weights = torch.ones(losses.shape, dtype=torch.float64)
    if problem.sample_weights is not None:
        weights = torch.tensor(problem.sample_weights).reshape(-1)
    upstream = torch.ones((), dtype=torch.float64)
    if problem.upstream_gradient is not None:
        upstream = torch.tensor(problem.upstream_gradient).reshape(-1)
    divisor = normalizer_of(problem, x, weights, counts)
    scales = torch.where(counts, weights * upstream, torch.zeros(()).double())
    scales = scales / divisor if divisor else scales * 0
    (losses * scales).sum().backward()

    terms = per_row(problem, row.terms(x, o)) if row.terms else losses
    units = row.ulps * SINGLE if single(problem) else DOUBLE
    smallest = SMALLEST if single(problem) else 0.0
    bounds = torch.where(counts, (units * terms.abs() + smallest) *
                         weights.abs(), 0.0).detach()
    weighted = torch.where(counts, weights * losses, 0.0).detach()
    total, bound = float(weighted.sum()), float(bounds.sum())
    if in_force(problem) == "NONE":
        loss = numpy.nan
    elif divisor:
        loss, bound = total / divisor, bound / abs(divisor)
    elif problem.semantics == "PYTORCH":
        loss = numpy.nan
    else:
        loss = 0.0
    return Expected(
        Bounded(numpy.array(loss), numpy.array(bound + 1e-15 * abs(loss))),
        Bounded(weighted.numpy(), bounds.numpy()),
        _gradients(problem, x, leaves, scales))


def _gradients(problem, x, leaves, scales):
    row = problem.row
    slopes = row.slopes(x, problem.o) if row.slopes else {}
    gradients = {}
    for name, leaf in leaves.items():
        value = (torch.zeros_like(leaf) if leaf.grad is None else
                 leaf.grad).reshape(problem.shape)
        size = value.abs()
        if name in slopes:
            own = slopes[name].detach().abs().reshape(problem.shape)
            size = torch.maximum(size, own * _per_element(problem, scales))
        if single(problem):
            bound = row.gradient_ulps * SINGLE * size + SMALLEST
            shared = SINGLE
        else:
            bound, shared = DOUBLE * size, DOUBLE
        if row.layout not in ("elements", "tokens") and size.numel():
            by_row = size.reshape(max(scales.numel(), 1), -1)
            largest = by_row.max(-1, keepdim=True).values
            bound = bound + shared * largest.expand(by_row.shape).reshape(
                problem.shape)
        gradients[name] = Bounded(value.numpy(), bound.numpy())
    return gradients


def _per_element(problem, scales):
    scales = scales.abs().reshape(problem.row_shape)
    missing = len(problem.shape) - scales.ndim
    scales = scales.reshape(scales.shape + (1,) * missing)
    if (problem.row.layout == "elements" and missing and problem.shape[-1]):
        scales = scales / problem.shape[-1]
    return scales


def native_of(problem):
    """PyTorch's own reduction of its own function; None where it has none."""
    row = problem.row
    weighted = problem.sample_weights is not None
    if (row.torch is None or problem.semantics != "PYTORCH" or
            problem.mask is not None or problem.normalizer is not None or
            (weighted and not row.torch_weight)):
        return None
    mean = "MEAN"
    if row.class_weight and row.labels and "class_weights" in problem.given:
        mean = row.torch_mean
    names = {"NONE": "none", "SUM": "sum", mean: "mean",
             "BATCHMEAN": "batchmean"}
    if in_force(problem) == mean:
        names[""] = "mean"
    reduction = names.get(problem.reduction)
    if reduction not in row.torch_reductions:
        return None
    if row.uninitialized_when_empty and 0 in problem.shape:
        return None
    x, leaves = inputs_of(problem)
    if weighted:
        x.weight = torch.tensor(problem.sample_weights)
    if _divides_by_no_weight(problem, x):
        return None
    value = row.torch(x, problem.o, reduction)
    upstream = torch.ones(())
    if problem.upstream_gradient is not None:
        upstream = torch.tensor(problem.upstream_gradient)
        if upstream.ndim and row.layout != "elements":
            upstream = upstream.reshape(-1)
    elements = value
    if upstream.ndim and value.shape != upstream.shape:  # kl_div: elements
        elements = value.sum(-1).reshape(-1)
    (elements * upstream).sum().backward()
    loss = numpy.nan if reduction == "none" else float(value)
    rows = value.detach().numpy().ravel() if reduction == "none" else None
    return loss, rows, {name: leaf.grad.numpy() if leaf.grad is not None else
                        numpy.zeros(leaf.shape)
                        for name, leaf in leaves.items()}


def _divides_by_no_weight(problem, x):
    """Rows count, but their classes have weight 0: the proto promises gradient
    0, PyTorch has NaN."""
    counts = torch.tensor(problem.counts)
    return bool(in_force(problem) == "WEIGHTED_MEAN" and
                x.class_weights is not None and counts.any() and
                not problem.row.class_weight(x, problem.o)[counts].any())


def native_slack(problem):
    """What PyTorch's own evaluation in float64 is off by, a row."""
    row = problem.row
    if row.torch_error is None:
        return 0.0
    x, _ = inputs_of(problem)
    error = row.torch_error(x, problem.o).detach().abs()
    return float(error.max()) if error.numel() else 0.0
