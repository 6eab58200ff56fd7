"""Holds lossd's results against what is expected, and says what differs."""

import numpy
from numbers_of import rounded
from reference import expected_of, in_force, native_of, native_slack


def _outside(got, value, bound, dtype="float64"):
    """Where numbers are not the expected ones, rounded once."""
    got, value = numpy.asarray(got), numpy.asarray(value)
    bound = numpy.where(numpy.isfinite(value), bound, 0)
    lower, upper = rounded(value - bound, dtype), rounded(value + bound, dtype)
    same = (lower <= got) & (got <= upper)
    return ~(same | (numpy.isnan(got) & numpy.isnan(value)))


def _describe(what, got, value, bound, wrong):
    at = int(numpy.flatnonzero(wrong)[0])
    got, value, bound = (numpy.broadcast_to(a, wrong.shape).ravel()[at]
                         for a in (got, value, bound))
    return (f"{what}[{at}]: got {got!r}, expected {value!r} +- {bound:.3g} "
            f"({int(wrong.sum())} of {wrong.size} differ)")


def _check(what, got, value, bound, dtype="float64"):
    if numpy.shape(got) != numpy.shape(value):
        return [f"{what}: shape {numpy.shape(got)} instead of "
                f"{numpy.shape(value)}"]
    wrong = numpy.atleast_1d(_outside(got, value, bound, dtype))
    return ([_describe(what, got, value, bound, wrong)] if wrong.any() else [])


def gradients_of(lossd, result):
    return {"predictions": lossd.numbers(result.gradient)} | {
        name: lossd.numbers(tensor)
        for name, tensor in result.extra_gradients.items()}


def differences(lossd, problem, result):
    """Sentences, none when all is as expected."""
    expected = expected_of(problem)
    gradient_dtype = problem.gradient_dtype or problem.dtypes["predictions"]
    if problem.semantics == "STRICT" and any(
            numpy.isinf(rounded(abs(g.value) + g.bound, gradient_dtype)).any()
            for g in expected.gradients.values()):
        return [] if "overflows" in result.status.message else ["not refused"]
    if result.status.code:
        if "weights whose sum is 0" in result.status.message and (
                in_force(problem) == "WEIGHTED_MEAN" and
                problem.semantics == "STRICT" and expected.loss.value == 0):
            return []
        return [f"refused: {result.status.message}"]
    rows = lossd.numbers(result.row_losses)
    gradients = gradients_of(lossd, result)
    found = []
    if rows.shape != problem.row_shape:
        found.append(f"row_losses: shape {rows.shape}")
    found += _check("loss", numpy.array(result.loss), expected.loss.value,
                    expected.loss.bound)
    found += _check("row_losses", rows.ravel(), expected.rows.value,
                    expected.rows.bound)
    if gradients.keys() != expected.gradients.keys():
        found.append(f"gradients of {list(gradients)}")
        return found
    for name, gradient in expected.gradients.items():
        found += _check(f"gradient of {name}", gradients[name], gradient.value,
                        gradient.bound, gradient_dtype)
    count = int(problem.counts.sum())
    if result.row_count != count:
        found.append(f"row_count: got {result.row_count}, expected {count}")
    return found + native_differences(problem, result.loss, rows.ravel(),
                                      gradients, expected, gradient_dtype)


def native_differences(problem, got, rows, gradients, expected, dtype):
    """The same for PyTorch's own reduction."""
    native = native_of(problem)
    if native is None:
        return []
    loss, native_rows, native_gradients = native
    slack = native_slack(problem)
    scale = max(int(problem.counts.sum()), 1) * _largest(
        problem.sample_weights)
    found = _check("loss (PyTorch's reduction)", numpy.array(got),
                   numpy.array(loss), expected.loss.bound + slack * scale)
    if native_rows is not None and rows.size:
        if native_rows.size != rows.size:  # kl_div: elements
            native_rows = native_rows.reshape(rows.size, -1).sum(-1)
        found += _check("row_losses (PyTorch's)", rows, native_rows,
                        expected.rows.bound + slack * scale)
    for name, gradient in native_gradients.items():
        bound = expected.gradients[name].bound
        # Of a difference of numbers near 1, say of sigmoid and target.
        bound = bound + (1e-12 + slack) * scale * _largest(
            problem.upstream_gradient)
        if problem.row.formula is None:
            bound = expected.gradients[name].bound
        found += _check(f"gradient of {name} (PyTorch's reduction)",
                        gradients[name], gradient, bound, dtype)
    return found


def _largest(numbers):
    return 1.0 if numbers is None or not numbers.size else float(
        abs(numbers).max())
