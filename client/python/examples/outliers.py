"""A line through points with heavy-tailed noise: what mean squared error, mean
absolute error and Huber make of them. Draws the lines and how their errors
fall.

    lossd &
    python outliers.py outliers.svg
"""

import sys

import matplotlib
import numpy

import lossd

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

SLOPE, OFFSET = 2.0, 1.0
STEPS = 300

random = numpy.random.default_rng(0)
x = random.uniform(-1, 1, 200)
# Cauchy noise: its mean does not exist, its median does.
y = SLOPE * x + OFFSET + 0.2 * random.standard_cauchy(200)
features = numpy.stack([x, numpy.ones_like(x)], 1)

figure, (lines, errors) = pyplot.subplots(1, 2, figsize=(10, 4))
lines.plot(x, y, ".", color="silver")
ends = numpy.array([[-1.0, 1], [1, 1]])

with lossd.Client() as client:
    for loss, options in (("mean_squared_error", {}),
                          ("mean_absolute_error", {}),
                          ("huber", {"delta": 0.3})):
        weights = numpy.zeros(2)
        distances = []
        for step in range(STEPS):
            result = client.compute(loss, features @ weights, y, **options)
            rate = 0.5 / (1 + step / 50)
            weights -= rate * features.T @ result.gradient
            distances.append(numpy.hypot(*(weights - (SLOPE, OFFSET))))
        print(f"{loss:20} slope {weights[0]:6.3f} offset {weights[1]:6.3f} "
              f"distance from the truth {distances[-1]:.3f}")
        lines.plot(ends[:, 0], ends @ weights, label=loss)
        errors.plot(distances, label=loss)

lines.set(xlabel="x", ylabel="y", ylim=(-4, 6), title="fitted lines")
errors.set(xlabel="step", yscale="log", title="distance from the truth")
lines.legend()
errors.legend()
figure.savefig(sys.argv[1])
