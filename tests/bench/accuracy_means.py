"""Errors of the mean of ten million elements, beside PyTorch's."""

import sys
import tempfile

import numpy as np
import torch
from compare_kernels import Program
from workloads import TORCH_LOSSES, Case, Sampler

CASES = (Case("mean_squared_error", 10**7), Case("mean_absolute_error", 10**7),
         Case("binary_cross_entropy", 10**7),
         Case("sparse_categorical_cross_entropy", 10**6, 10))
TEXT = """
## Means of ten million

Relative error of the mean loss of 1e7 float32 elements (those of
`tests/bench/workloads.py`; of logits for cross-entropies), against the mean of
the same losses in long double. lossd answers with a float64, PyTorch with a
float32, whose last rounding alone is worth up to 6e-8.

"""


def print_row(*cells):
    print("| " + " | ".join(cells) + " |")


def exact_mean(case, tensors):
    p = tensors.predictions.astype(np.longdouble)
    if case.loss.startswith("sparse"):
        rows = np.arange(case.rows)
        exps = np.exp(p - p.max(1, keepdims=True)).sum(1)
        losses = np.log(exps) + p.max(1) - p[rows, tensors.targets]
    else:
        r = p - tensors.targets
        losses = {
            "mean_squared_error": lambda: r * r,
            "mean_absolute_error": lambda: abs(r),
            "binary_cross_entropy": lambda: np.log1p(np.exp(-abs(p))) +
            np.maximum(p, 0) - p * tensors.targets,
        }[case.loss]()
    return losses.mean()


def print_means(path):
    """`path` is that of compare_kernels, which computes ours."""
    print(TEXT, end="")
    program = Program(path, torch.get_num_threads())
    print_row("loss", "shape", "lossd", "PyTorch")
    print_row("---", "---", "---:", "---:")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            tensors = Sampler(folder).sample(case)
            answer = program.ask(
                "load", case.name, case.loss, str(case.rows),
                str(case.columns), "FLOAT32", *tensors.paths)
            if answer != "ok":
                sys.exit(f"{case.name}: {answer}")
            ours = program.turn("ours", case.name)[0]
            program.ask("drop", case.name)
            theirs = TORCH_LOSSES[case.workload](
                torch.from_numpy(tensors.predictions),
                torch.from_numpy(tensors.targets)).item()
            exact = exact_mean(case, tensors)
            print_row(f"`{case.loss}`", f"{case.rows} x {case.columns}",
                      *(f"{float(abs(mean / exact - 1)):.1e}"
                        for mean in (np.longdouble(ours),
                                     np.longdouble(theirs))))
    program.close()
