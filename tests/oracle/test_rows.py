"""Every row of the table, over random problems, in value and gradient."""

import zlib

import numpy
import pytest
import torch
from compare import differences, gradients_of
from problems import draw, problems_of
from reference import SINGLE, inputs_of
from table import ROWS

torch.set_num_threads(1)
MOST_SHOWN = 5


def stream(seed, name):
    """Random numbers that do not depend on the other rows."""
    return numpy.random.default_rng([seed, zlib.crc32(name.encode())])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_lossd_computes_what_pytorch_does(row, lossd, seed, full):
    problems = list(problems_of(stream(seed, row.name), row, full))
    results = lossd.compute(problems)
    failures = []
    for problem, result in zip(problems, results, strict=True):
        found = differences(lossd, problem, result)
        if found:
            failures.append(f"{problem}:\n    " + "\n    ".join(found))
    assert not failures, (
        f"{len(failures)} of {len(problems)} problems, seed {seed}:\n" +
        "\n".join(failures[:MOST_SHOWN]))


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.torch and "PYTORCH" in row.semantics],
    ids=lambda row: row.name)
def test_pytorch_in_float32_is_near(row, lossd, seed):
    """Its own bound: up to 64 roundings, of 1 or of the largest number."""
    rng = stream(seed, row.name)
    reduction = "MEAN" if "mean" in row.torch_reductions else "NONE"
    problems = [draw(rng, row, row.settings[0], "PYTORCH", "float32", shape,
                     reduction, plain=True, grid=False)
                for shape in ((5, 17), (64, 33))]
    for problem, result in zip(problems, lossd.compute(problems), strict=True):
        x, leaves = inputs_of(problem, torch.float32)
        value = row.torch(x, problem.o, reduction.lower())
        value.sum().backward()
        got = (result.loss if reduction == "MEAN" else
               lossd.numbers(result.row_losses).ravel())
        near(got, value.detach().numpy())
        for name, gradient in gradients_of(lossd, result).items():
            near(gradient, leaves[name].grad.numpy(), 0)


def near(got, expected, least=1.0):
    largest = max(least, abs(expected).max())
    numpy.testing.assert_allclose(got, expected, rtol=0,
                                  atol=64 * SINGLE * largest)
