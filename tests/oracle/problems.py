"""Random problems for a row: shapes, types, options, weights, masks."""

import dataclasses
import types

import numpy
from numbers_of import FLOATS, INTEGERS, rounded
from row import Row

VECTORS = ((), (0,), (1,), (7,))
MATRICES = ((0, 5), (1, 5), (6, 1), (5, 17), (2, 3, 4), (64, 33), (3, 5000))
REDUCTIONS = ("", "NONE", "SUM", "MEAN", "WEIGHTED_MEAN", "BATCHMEAN")
IGNORED = -100
TOP_K = 3


@dataclasses.dataclass
class Problem:
    row: Row
    semantics: str
    shape: tuple
    row_shape: tuple
    # As they are sent, and all that are in force.
    options: dict
    o: types.SimpleNamespace
    reduction: str
    # Which element type each input has.
    dtypes: dict
    # Inputs in float64, as the types hold them; `sent` has NaN in masked rows.
    given: dict = dataclasses.field(default_factory=dict)
    sent: dict = dataclasses.field(default_factory=dict)
    sample_weights: numpy.ndarray | None = None
    mask: numpy.ndarray | None = None
    upstream_gradient: numpy.ndarray | None = None
    weight_dtype: str = "float64"
    normalizer: float | None = None
    gradient_dtype: str = ""

    def __str__(self):
        extras = [name for name in ("sample_weights", "mask",
                                    "upstream_gradient", "normalizer")
                  if getattr(self, name) is not None]
        return (f"{self.row.name} {self.semantics} {self.options} "
                f"{list(self.shape)} {self.reduction or 'unset'} {self.dtypes}"
                f" gradient {self.gradient_dtype or 'same'} {extras}")

    @property
    def counts(self):
        """Which rows count, as a flat array."""
        counts = numpy.ones(self.row_shape, bool)
        if self.mask is not None:
            counts &= self.mask.astype(bool)
        if self.row.labels and self.o.ignore_index is not None:
            counts &= self.given["targets"] != self.o.ignore_index
        return counts.ravel()


def shape_of_rows(row, semantics, shape):
    if row.layout == "tokens" or (row.layout == "elements" and
                                  semantics == "PYTORCH"):
        return shape
    if row.layout == "samples":
        return shape[:1]
    if row.layout == "whole":
        return ()
    return shape[:-1] if len(shape) > 1 or row.layout == "rows" else shape


def shapes_of(rng, row, more):
    if row.layout == "rows":
        fixed, least = MATRICES, 2
    elif row.layout in ("samples", "whole"):
        # A mask of no element, or a sample of none, is nobody's convention.
        fixed, least = VECTORS[2:] + MATRICES[1:], 1
    else:
        fixed, least = VECTORS + MATRICES, 1
    random = [tuple(int(n) for n in rng.integers(1, 40, rng.integers(least, 4)))
              for _ in range(more)]
    return list(fixed) + random


def draw(rng, row, setting, semantics, dtype, shape, reduction, plain,
         grid=None):
    o = dict(row.defaults)
    sent_options = dict(setting.options)
    if semantics == "PYTORCH":
        o |= row.pytorch_defaults
        if "ignore_index" in o:
            o["ignore_index"] = IGNORED
    else:
        sent_options = row.strict_options | sent_options
    o = {"ignore_index": None} | o | sent_options | {"semantics": semantics}
    problem = Problem(row, semantics, shape,
                      shape_of_rows(row, semantics, shape), sent_options,
                      types.SimpleNamespace(**o), reduction, {})
    if not plain:
        _decorate(rng, problem, dtype)
    if grid is None:
        grid = row.grid and rng.random() < 0.4
    _draw_inputs(rng, problem, setting, dtype, grid)
    return problem


def _decorate(rng, problem, dtype):
    shape = problem.row_shape
    problem.weight_dtype = str(rng.choice(["float32", "float64"]))
    if rng.random() < 0.6:
        weights = rng.uniform(0.25, 2, shape) * (rng.random(shape) < 0.9)
        if problem.reduction in ("NONE", "SUM"):
            weights = weights * rng.choice([-1, 1], shape)
        problem.sample_weights = rounded(weights, problem.weight_dtype)
    if rng.random() < 0.5:
        share = rng.choice([0.0, 0.7, 0.7, 0.7])
        problem.mask = numpy.asarray(rng.random(shape) < share, "float64")
    if problem.reduction == "MEAN" and rng.random() < 0.5:
        problem.normalizer = float(rng.uniform(1, 50))
    if rng.random() < 0.5:
        rows = problem.reduction == "NONE" and rng.random() < 0.7
        upstream = rng.uniform(-3, 3, shape if rows else ())
        problem.upstream_gradient = rounded(upstream, problem.weight_dtype)
    if rng.random() < 0.5:
        problem.gradient_dtype = str(rng.choice(FLOATS))


def _draw_inputs(rng, problem, setting, dtype, grid):
    row, rows = problem.row, problem.row_shape
    shapes = {"predictions": problem.shape, "rows": rows, "labels": rows,
              "top_k": rows + (TOP_K,), "top_k_labels": rows + (TOP_K,),
              "columns": (problem.shape[-1] if len(problem.shape) > 1 else 1,)}
    for name, source in row.inputs.items():
        if source.optional and name not in setting.inputs:
            continue
        if source.shape.endswith("labels"):
            problem.dtypes[name] = str(rng.choice(INTEGERS))
            numbers = _labels(rng, problem, shapes[source.shape])
        else:
            numbers = source.draw(rng, shapes[source.shape], grid)
            problem.dtypes[name] = _dtype_of(rng, name, source, dtype,
                                             numbers)
            numbers = rounded(numbers, problem.dtypes[name])
        problem.given[name] = problem.sent[name] = numbers
        if problem.mask is not None and source.shape != "columns":
            problem.sent[name] = _with_nan(problem, numbers, name)


def _dtype_of(rng, name, source, dtype, numbers):
    """That of the predictions, and now and then another."""
    if name == "predictions" or rng.random() < 0.7:
        return dtype
    if source.whole:
        bits = ((numbers == 0) | (numbers == 1)).all()
        return str(rng.choice(INTEGERS + (("bool",) if bits else ())))
    # A wider type holds what the range of the narrower one allows.
    return "float64" if dtype == "float64" else "float32"


def _labels(rng, problem, shape):
    labels = rng.integers(0, problem.shape[-1], shape)
    if problem.o.ignore_index is not None:
        share = rng.choice([0, 0.2, 0.2, 1])
        labels = numpy.where(rng.random(labels.shape) < share,
                             problem.o.ignore_index, labels)
    return labels.astype("float64")


def _with_nan(problem, numbers, name):
    """What is masked is never looked at."""
    if problem.dtypes[name] not in FLOATS:
        return numbers
    keep = problem.mask.astype(bool)
    if numbers.shape != problem.row_shape:
        keep = keep.reshape(keep.shape + (1,) * (numbers.ndim - keep.ndim))
    return numpy.where(keep, numbers, numpy.nan)


def problems_of(rng, row, full):
    """Every setting, semantics and type with every shape and reduction; unless
    `full`, not with each pair of these."""
    for setting in row.settings:
        for semantics in row.semantics:
            for offset, dtype in enumerate(FLOATS):
                shapes = shapes_of(rng, row, 8 if full else 2)
                for i, shape in enumerate(shapes):
                    # Each reduction plain and with weights, or one of them.
                    ways = (range(2 * len(REDUCTIONS)) if full else
                            (i + offset,))
                    for way in ways:
                        plain = (way < len(REDUCTIONS) if full else
                                 rng.random() < 0.4)
                        yield draw(rng, row, setting, semantics, dtype, shape,
                                   REDUCTIONS[way % len(REDUCTIONS)], plain)
