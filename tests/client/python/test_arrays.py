"""Arrays of many kinds, on their way there and back."""

import numpy
import pytest
import torch

import lossd

# Exact in every float type here.
PREDICTIONS = [[2.5, 0.0, 2.0], [8.0, -1.0, 0.5]]
TARGETS = [[3.0, -0.5, 2.25], [7.0, 1.0, 0.5]]
LOSS = (0.25 + 0.25 + 0.0625 + 1 + 4 + 0) / 6
GRADIENT = (numpy.array(PREDICTIONS) - TARGETS) / 3  # 2 r / 3 columns / 2 rows


def test_loss_and_gradient_of_lists(client):
    loss, gradient = client.mean_squared_error(PREDICTIONS, TARGETS)
    assert loss == pytest.approx(LOSS, rel=1e-15)
    assert isinstance(gradient, numpy.ndarray)
    assert gradient.dtype == numpy.float64
    numpy.testing.assert_allclose(gradient, GRADIENT, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_has_the_dtype_of_the_predictions(client, dtype):
    predictions = numpy.array(PREDICTIONS, dtype)
    gradient = client.mse(predictions, numpy.array(TARGETS)).gradient
    assert gradient.dtype == dtype
    numpy.testing.assert_allclose(gradient, GRADIENT, rtol=1e-7)


def test_half_types(client):
    half = client.mse(numpy.array(PREDICTIONS, "float16"), TARGETS)
    assert half.loss == pytest.approx(LOSS, rel=1e-7)
    assert half.gradient.dtype == numpy.float16
    numpy.testing.assert_array_equal(
        half.gradient,
        client.mse(numpy.array(PREDICTIONS, "float32"),
                   TARGETS).gradient.astype("float16"))


def test_bfloat16_tensors(client):
    predictions = torch.tensor(PREDICTIONS, dtype=torch.bfloat16)
    loss, gradient = client.mse(predictions, torch.tensor(TARGETS))
    assert loss == pytest.approx(LOSS, rel=1e-7)
    assert gradient.dtype == torch.bfloat16
    assert torch.equal(gradient, torch.tensor(GRADIENT).bfloat16())


def test_tensors_come_back_as_tensors(client):
    predictions = torch.tensor(PREDICTIONS, requires_grad=True)
    result = client.compute("mse", predictions, torch.tensor(TARGETS),
                            outputs=("gradient", "row_losses"))
    assert isinstance(result.gradient, torch.Tensor)
    assert result.gradient.dtype == torch.float32
    assert isinstance(result.row_losses, torch.Tensor)
    assert result.row_losses.dtype == torch.float64


def test_shared_tensors_come_back_as_tensors(client):
    result, = client.compute_batch(
        [lossd.Call("mse")], lossd.Call(predictions=torch.tensor(PREDICTIONS),
                                        targets=TARGETS))
    assert isinstance(result.gradient, torch.Tensor)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32",
                                   "uint32", "int64", ">i4"])
def test_labels_of_any_integer_type(client, dtype):
    logits = numpy.array([[2.0, 1, 0], [0, 0, 1]])
    expected = client.scce(logits, [0, 2], prediction_kind="LOGITS")
    loss, gradient = client.scce(logits, numpy.array([0, 2], dtype),
                                 prediction_kind="LOGITS")
    assert loss == expected.loss
    numpy.testing.assert_array_equal(gradient, expected.gradient)


def test_integers_stand_for_real_numbers(client):
    result = client.compute("mse", [1, 2], [0, 4], sample_weights=[1, 3],
                            upstream_gradient=2)
    assert result.loss == 6.5
    numpy.testing.assert_array_equal(result.gradient, [2, -12])
    # But not where they would be rounded.
    with pytest.raises(lossd.InvalidArgument, match="predictions.dtype"):
        client.mse([2 ** 53 + 1], [0])


@pytest.mark.parametrize("array", [
    numpy.array(PREDICTIONS, ">f8"),
    numpy.asfortranarray(PREDICTIONS),
    numpy.array(PREDICTIONS)[::-1][::-1],
    numpy.repeat(PREDICTIONS, 2, axis=1)[:, ::2],
    tuple(map(tuple, PREDICTIONS)),
    torch.tensor(PREDICTIONS, dtype=torch.float64).t().contiguous().t(),
], ids=["big_endian", "fortran", "reversed", "strided", "tuples",
        "transposed_tensor"])
def test_any_layout(client, array):
    loss, gradient = client.mse(array, TARGETS)
    assert loss == pytest.approx(LOSS, rel=1e-15)
    numpy.testing.assert_allclose(numpy.asarray(gradient), GRADIENT, rtol=1e-15)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (2, 3), (2, 1, 3),
                                   (1, 2, 1, 2, 1, 2, 1, 3)])
def test_any_rank(client, shape):
    predictions = numpy.ones(shape, "float32")
    result = client.compute("mse", predictions, numpy.zeros(shape),
                            outputs=("gradient", "row_losses"))
    assert result.gradient.shape == shape
    assert result.row_losses.shape == (shape[:-1] if len(shape) > 1 else shape)
    assert result.loss == (1 if predictions.size else 0)


def test_the_arrays_are_the_callers_own(client):
    predictions = numpy.ones(1000, "float32")
    targets = numpy.zeros(1000, "float32")
    first = client.mse(predictions, targets).gradient
    kept = first.copy()
    second = client.mse(3 * predictions, targets).gradient
    numpy.testing.assert_array_equal(first, kept)
    first[:] = 7
    assert second[0] == numpy.float32(0.006)
    assert (first.flags.writeable and first.flags.aligned and
            first.flags.c_contiguous)
    numpy.testing.assert_array_equal(predictions, 1)


def test_gradient_dtype(client):
    predictions = numpy.array(PREDICTIONS, "float32")
    result = client.compute("mse", predictions, TARGETS,
                            gradient_dtype="float64")
    assert result.gradient.dtype == numpy.float64
    with pytest.raises(TypeError, match="gradient_dtype.*float33.*float64"):
        client.compute("mse", predictions, TARGETS, gradient_dtype="float33")


@pytest.mark.parametrize("bad", [
    numpy.array(PREDICTIONS, "complex64"), numpy.array(PREDICTIONS, "longdouble"),
    numpy.array([["a"] * 3] * 2), numpy.array([["2026-01-01"] * 3] * 2,
                                              "datetime64[D]"),
    numpy.array([[1] * 3] * 2, "uint64"), [[None] * 3] * 2])
def test_what_cannot_be_sent(client, bad):
    with pytest.raises(TypeError, match="^targets: got dtype .*float32"):
        client.mse(PREDICTIONS, bad)


def test_masked_arrays_are_refused(client):
    hidden = numpy.ma.array([1.0, 100.0], mask=[0, 1])
    with pytest.raises(TypeError, match="^predictions: got a masked array"):
        client.mse(hidden, [0.0, 0.0])


def test_large_arrays(client):
    predictions = numpy.arange(1 << 21, dtype="float32") % 1009
    targets = predictions[::-1]
    gradient = client.mae(predictions, targets).gradient
    numpy.testing.assert_array_equal(
        gradient, numpy.sign(predictions - targets) / numpy.float32(1 << 21))
