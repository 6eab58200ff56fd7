"""What a row of the tables says: one function of PyTorch, or one formula.

Functions of a row are given x and o. x holds float64 tensors: p predictions, t
targets, further inputs by name (None when not given), shape of the predictions.
o holds the options that are in force, and `semantics`.

The layout says how x is laid out and what a row is:

    elements  as sent; every element is a row, with STRICT the mean of the last
              axis is
    rows      [rows, C]; rows are all axes but the last; at least two axes
    vectors   the same, and a single axis is rows of one element
    tokens    flat; every element is a row
    samples   [samples, elements]; the first axis has the rows
    whole     [1, elements]; one row
"""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Input:
    """A tensor that a loss reads."""

    draw: Callable
    # "predictions", "rows" (one number a row), "labels" (one class a row),
    # "top_k" and "top_k_labels" (three a row), "columns" (one number a column).
    shape: str = "predictions"
    differentiable: bool = False
    # Numbers are whole, so that integer types hold them.
    whole: bool = False
    # Drawn only for settings that name it.
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Setting:
    """Options, and optional inputs that come with them."""

    options: dict = dataclasses.field(default_factory=dict)
    inputs: tuple = ()


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    # Member of Loss.kind.
    loss: str
    # predictions, targets and extra inputs.
    inputs: dict
    # Options in force when unset.
    defaults: dict = dataclasses.field(default_factory=dict)
    # Options that differ with PYTORCH when unset, and those that only STRICT
    # wants to be told.
    pytorch_defaults: dict = dataclasses.field(default_factory=dict)
    strict_options: dict = dataclasses.field(default_factory=dict)
    settings: tuple = (Setting(),)
    semantics: tuple = ("PYTORCH", "STRICT")
    layout: str = "elements"

    # PyTorch's own function: (x, o, reduction) -> tensor, or None. x.weight
    # holds sample weights if `torch_weight`.
    torch: Callable | None = None
    torch_reductions: tuple = ("none", "sum", "mean")
    torch_weight: bool = False
    # PyTorch answers whatever its memory held.
    uninitialized_when_empty: bool = False
    # (x, o) -> losses of the rows in float64, or None: PyTorch's with reduction
    # none. When both are given, the formula decides, and `why` says why; then
    # PyTorch's may differ by `torch_error` (x, o) a row, and its gradient by
    # that times the largest slope.
    formula: Callable | None = None
    why: str = ""
    torch_error: Callable | None = None

    # (x, o) -> sum of the sizes of the terms of each row's loss, where they
    # cancel. Default: size of the loss.
    terms: Callable | None = None
    # (x, o) -> {input: sizes of the terms of each slope}, where they cancel.
    slopes: Callable | None = None
    # Allowed errors in units of 2^-23 for float32.
    ulps: float = 4
    gradient_ulps: float = 4
    # lossd computes it in float64 for every type.
    double: bool = False
    # (x, o) -> class weight of each row; None: 1.
    class_weight: Callable | None = None
    # The reduction that PyTorch's mean is, with class weights beside labels.
    torch_mean: str = "WEIGHTED_MEAN"
    # MEAN is over elements with PYTORCH.
    mean_over_elements: bool = False
    # Its gradient is not that of its value.
    surrogate: bool = False
    # False: kinks that lossd and PyTorch see differently would be hit.
    grid: bool = True

    @property
    def labels(self):
        targets = self.inputs.get("targets")
        return targets is not None and targets.shape == "labels"
