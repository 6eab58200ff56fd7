"""Random numbers of the kinds that losses read.

A draw is a function (rng, shape, grid) -> float64 numbers. With `grid` they are
multiples of 1/4 or 1/8 where that makes sense, so that the kinks of the losses
are hit exactly, which random numbers never do.
"""

import numpy


def normal(rng, shape, grid):
    numbers = 2 * rng.standard_normal(shape)
    return numpy.round(numbers * 4) / 4 if grid else numbers


def integers(rng, shape, grid):
    return rng.integers(-9, 10, shape).astype("float64")


def logits(rng, shape, grid):
    """Also confident ones, beyond the 20 where PyTorch loses digits."""
    return normal(rng, shape, grid) * rng.choice([0.5, 2, 12])


def unit(rng, shape, grid):
    """Probabilities that are 0 or 1 in no type."""
    if grid:
        return rng.integers(1, 8, shape) / 8
    return rng.uniform(0.02, 0.98, shape)


def soft(rng, shape, grid):
    """Targets in [0, 1], most of them 0 or 1."""
    hard = rng.integers(0, 2, shape).astype("float64")
    if grid:
        return hard
    return numpy.where(rng.random(shape) < 0.7, hard, rng.random(shape))


def zero_one(rng, shape, grid):
    return rng.integers(0, 2, shape).astype("float64")


def signs(rng, shape, grid):
    return 2 * zero_one(rng, shape, grid) - 1


def positive(rng, shape, grid):
    return numpy.exp(rng.standard_normal(shape))


def logarithmic(rng, shape, grid):
    """Above -1, over several powers of ten."""
    return numpy.exp(rng.uniform(-9, 10, shape)) - 0.5


def counts(rng, shape, grid):
    numbers = rng.poisson(3, shape).astype("float64")
    return numbers if grid else numbers + rng.random(shape)


def log_probabilities(rng, shape, grid):
    """Of tokens: one number each."""
    return -abs(normal(rng, shape, grid))


def one_hot(rng, shape, grid):
    columns = max(shape[-1], 1)
    labels = rng.integers(0, columns, shape[:-1])
    return numpy.eye(columns)[labels].reshape(shape)


def _softmax(numbers):
    exps = numpy.exp(numbers - numbers.max(-1, keepdims=True, initial=-1e9))
    return exps / numpy.maximum(exps.sum(-1, keepdims=True), 1e-300)


def distribution(rng, shape, grid):
    """Rows that sum to 1; no probability is 0."""
    return _softmax(rng.standard_normal(shape))


def soft_rows(rng, shape, grid):
    """Distributions, one-hot ones or with zeros among them."""
    choice = rng.random(shape[:-1] + (1,))
    rows = _softmax(2 * rng.standard_normal(shape) -
                    1e4 * (rng.random(shape) < 0.2))
    rows = numpy.where(choice < 0.5, one_hot(rng, shape, grid), rows)
    return numpy.where(rows < 1e-300, 0, rows)


def multi_hot(rng, shape, grid):
    rows = soft_rows(rng, shape, grid)
    return numpy.where(rng.random(shape[:-1] + (1,)) < 0.5, rows,
                       zero_one(rng, shape, grid))


def log_distribution(rng, shape, grid):
    return numpy.log(distribution(rng, shape, grid))


def quantiles(rng, shape, grid):
    return rng.uniform(0.05, 0.95, shape)


def class_weights(rng, shape, grid):
    """0 for some classes, never for all."""
    weights = rng.uniform(0.25, 2, shape)
    weights[1::5] = 0
    return weights


def pos_weights(rng, shape, grid):
    return rng.uniform(0.25, 4, shape)


def vectors(rng, shape, grid):
    """None of them is 0."""
    numbers = normal(rng, shape, grid)
    return numpy.where(numbers == 0, 0.25, numbers)


def token_weights(rng, shape, grid):
    return normal(rng, shape, grid)


def few_weights(rng, shape, grid):
    """Of top-k targets; three of them are less than 1."""
    return rng.uniform(0.05, 0.3, shape)
