"""The formulas themselves, without lossd."""

import numpy
import pytest
import torch
from compare import native_differences
from problems import draw, problems_of
from reference import expected_of, inputs_of, per_row
from table import ROWS

SHAPE = (4, 3)
LARGE = 3000


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.formula and not row.surrogate],
    ids=lambda row: row.name)
def test_gradients_are_those_of_the_values(row, seed):
    """By central differences, away from kinks, which random numbers miss."""
    rng = numpy.random.default_rng(seed)
    for setting in row.settings:
        for semantics in row.semantics:
            problem = draw(rng, row, setting, semantics, "float64", SHAPE, "",
                           plain=True, grid=False)
            _, leaves = inputs_of(problem)

            def value(*tensors, problem=problem, leaves=leaves):
                given = dict(zip(leaves, tensors, strict=True))
                x, _ = inputs_of(problem, given=given)
                return per_row(problem, problem.row.formula(x, problem.o))

            assert torch.autograd.gradcheck(value, tuple(leaves.values()),
                                            eps=1e-6, atol=1e-6, rtol=1e-5)


def test_every_formula_that_overrules_pytorch_says_why():
    for row in ROWS:
        assert row.formula or row.torch, row.name
        assert bool(row.why) == bool(row.formula and row.torch), row.name


def test_names_are_unique():
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if row.torch],
                         ids=lambda row: row.name)
def test_formulas_and_reductions_are_those_of_pytorch(row, seed):
    """What lossd is held against, held against PyTorch's own reductions."""
    rng = numpy.random.default_rng(seed)
    failures = []
    for problem in problems_of(rng, row, full=False):
        if (problem.dtypes["predictions"] != "float64" or
                numpy.prod(problem.shape) > LARGE):
            continue
        expected = expected_of(problem)
        gradients = {name: bounded.value
                     for name, bounded in expected.gradients.items()}
        found = native_differences(problem, float(expected.loss.value),
                                   expected.rows.value, gradients, expected,
                                   "float64")
        if found:
            failures.append(f"{problem}:\n    " + "\n    ".join(found))
    assert not failures, "\n".join(failures[:5])
