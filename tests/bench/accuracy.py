#!/usr/bin/python3
"""Tabulates errors of the library and of PyTorch against long double.

    accuracy.py FOLDER    that of accuracy_cases and compare_kernels

Prints Markdown.
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import types

import numpy as np
import torch
from accuracy_means import print_means, print_row
from accuracy_rows import ROWS

TYPES = {"float64": np.float64, "int64": np.int64,
         "longdouble": np.longdouble}
# Digits of the significand, exponent of the smallest number.
FORMATS = {"float32": (24, -149), "float64": (53, -1074)}
DTYPES = tuple(FORMATS)
TEXT = """# Accuracy

Written by `tests/bench/compare.sh accuracy`, which takes a minute; not
edited by hand. PyTorch is {torch}.

## Row losses and gradients

The largest error of a row loss and of a slope, in ulps of the dtype: distances
of neighbouring numbers where the exact result lies. Correctly rounded is 0.5.
Inputs are the cases of `tests/support` that the second column names, with
their options and ranges, as the dtype holds them: 8000 elements or, where the
elements of a row are coupled, 400 rows of 20 and 5 rows of 1000. Both sides
get the same numbers. The gradient is that of the sum of the row losses with
respect to the predictions and all inputs that have one, PyTorch's by
`backward()`. lossd has STRICT semantics. `-`: PyTorch has no such loss.

The references are the definitions in long double (64 bits of significand), the
ones that the tests compare with, and their derivatives by automatic
differentiation in long double. Where digits cancel long double loses some,
too: of errors of more than 1000 ulps up to 1/1000 may be its own.

`*` marks results that terms of both signs add up to: rounding any of these
once can move the result by many of its own ulps. There, ulps are those of what
`tests/support/accuracy.h` calls a scale: for a loss the sizes of the terms
added up, for a slope the largest term, in coupled rows the largest slope of
the row. Everywhere else they are those of the result itself, however small.

Row losses of lossd are float64 for every dtype. With float32, those that it
computes in float64 have next to no error, and their gradients that of one
rounding.

PyTorch's largest errors are those of small losses of confident predictions,
from log(1 + small) or from differences of large numbers. That of
`cosine_embedding` with float64 is another definition: PyTorch adds 1e-12 to
squared norms, where lossd with STRICT has a floor.

lossd's largest are float64 slopes where two logarithms nearly cancel:
`k3_divergence` of logits near the reference, and the divergences with a
confident student, whose slopes are its probability, near 1, times a difference
that is nearly 0. With float32 these are computed in float64.

"""


class Problems:
    """What accuracy_cases wrote."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.of_case = collections.defaultdict(list)
        index = json.loads((self.folder / "index.json").read_text("utf-8"))
        for number, problem in enumerate(index):
            problem["number"] = number
            self.of_case[problem["case"]].append(problem)

    def load(self, problem):
        return {name: np.fromfile(self.folder / f"{problem['number']}.{name}",
                                  TYPES[kind])
                for name, kind in problem["arrays"].items()}


def ulps(numbers, reference, scale, dtype):
    """The largest error; infinite if a number is none."""
    digits, smallest = FORMATS[dtype]
    size = np.maximum(abs(reference), scale)
    exponents = np.where(size == 0, smallest, np.frexp(size)[1] - digits)
    unit = np.ldexp(np.longdouble(1), np.maximum(exponents, smallest))
    errors = abs(numbers.astype(np.longdouble) - reference) / unit
    return float(np.where(np.isfinite(errors), errors, np.inf).max())


def torch_answers(row, problem, arrays):
    """PyTorch's row losses and gradients, under the names of ours."""
    dtype, shape = getattr(torch, problem["dtype"]), problem["shape"]
    names = {"predictions": "p", "targets": "t"}
    x = types.SimpleNamespace()
    for name, array in arrays.items():
        if "." in name:
            continue
        tensor = torch.from_numpy(array)
        if name != "labels":
            tensor = tensor.to(dtype)
            if array.size == np.prod(shape):
                tensor = tensor.reshape(shape)
            tensor.requires_grad_("ours." + name in arrays)
        setattr(x, names.get(name, name), tensor)
    losses = row.torch(x)
    losses.sum().backward()
    answers = {"losses": losses.detach().numpy().ravel()}
    for name in arrays:
        if name.startswith("ours.") and name != "ours.losses":
            input_name = name.removeprefix("ours.")
            tensor = getattr(x, names.get(input_name, input_name))
            answers[input_name] = tensor.grad.numpy().ravel()
    return answers


def judge(row, problem, arrays, answers):
    """Errors of the row losses and of the slopes."""
    worst = {"losses": 0.0, "gradient": 0.0}
    for name, numbers in answers.items():
        kind = "losses" if name == "losses" else "gradient"
        cancels = row.loss_cancels if kind == "losses" else row.slope_cancels
        scale = arrays["scale." + name] if cancels else 0
        error = ulps(numbers, arrays["reference." + name], scale,
                     problem["dtype"])
        worst[kind] = max(worst[kind], error)
    return worst


def errors_of(row, problems):
    """Largest errors by dtype, kind and whose."""
    worst = collections.defaultdict(float)
    for problem in problems.of_case[row.case]:
        arrays = problems.load(problem)
        answers = {"ours": {name.removeprefix("ours."): numbers
                            for name, numbers in arrays.items()
                            if name.startswith("ours.")}}
        if row.torch:
            answers["torch"] = torch_answers(row, problem, arrays)
        for whose, numbers in answers.items():
            for kind, error in judge(row, problem, arrays, numbers).items():
                key = problem["dtype"], kind, whose
                worst[key] = max(worst[key], error)
    return worst


def short(number, mark=""):
    if number is None:
        return "-"
    if not np.isfinite(number):
        return "not finite"
    return (f"{number:.2f}" if number < 10 else
            f"{number:.0f}" if number < 1e4 else f"{number:.0e}") + mark


def print_ulps(problems):
    columns = [(dtype, kind, whose) for dtype in DTYPES
               for kind in ("losses", "gradient")
               for whose in ("ours", "torch")]
    print_row("loss", "case", *(f"{dtype} {kind}, "
                                f"{'lossd' if whose == 'ours' else 'PyTorch'}"
                                for dtype, kind, whose in columns))
    print_row("---", "---", *("---:" for _ in columns))
    for row in ROWS:
        worst = errors_of(row, problems)
        marks = {"losses": "*" * row.loss_cancels,
                 "gradient": "*" * row.slope_cancels}
        print_row(f"`{problems.of_case[row.case][0]['loss']}`", row.case,
                  *(short(worst.get(key), marks[key[1]]) for key in columns))


def main():
    programs = pathlib.Path(sys.argv[1])
    print(TEXT.format(torch=torch.__version__), end="")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([programs / "accuracy_cases", folder,
                        *(row.case for row in ROWS)], check=True)
        print_ulps(Problems(folder))
    print_means(programs / "compare_kernels")


if __name__ == "__main__":
    main()
