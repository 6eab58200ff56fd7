"""What the client returns has the bits that the C++ library computes in a
process of its own: every loss, reduction, dtype and input."""

import os
import subprocess

import numpy
import pytest
from google.protobuf.internal.decoder import _DecodeVarint32

from arena_peer import lies_in
from lossd import calls
from lossd.v1 import loss_service_pb2, tensor_pb2

DTYPES = {tensor_pb2.DTYPE_FLOAT32: "float32",
          tensor_pb2.DTYPE_FLOAT64: "float64",
          tensor_pb2.DTYPE_INT32: "int32", tensor_pb2.DTYPE_INT64: "int64",
          tensor_pb2.DTYPE_BOOL: "bool"}
FIGURES = ("loss", "loss_sum", "weight_sum", "normalizer", "row_count",
           "masked_count", "ignored_count", "clipped_count")


def array(tensor):
    return numpy.frombuffer(tensor.data, DTYPES[tensor.dtype]).reshape(
        tensor.shape)


def targets_of(item):
    return array(item.targets) if item.HasField("targets") else None


def keywords(item):
    """How a caller would write the item."""
    loss = item.loss.WhichOneof("kind")
    given = calls._options_of(getattr(item.loss, loss))
    for name in ("sample_weights", "mask", "upstream_gradient"):
        if item.HasField(name):
            given[name] = array(getattr(item, name))
    given.update((name, array(tensor))
                 for name, tensor in item.extra_inputs.items())
    if item.HasField("normalizer"):
        given["normalizer"] = item.normalizer
    if item.reduction:
        given["reduction"] = loss_service_pb2.Reduction.Name(
            item.reduction).removeprefix("REDUCTION_")
    return loss, given


def same_bits(a, b):
    a, b = numpy.asarray(a), numpy.asarray(b)
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


@pytest.fixture(scope="module")
def library_cases(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "cases"
    subprocess.run([os.environ["LIBRARY_CASES"], path], check=True)
    data = path.read_bytes()
    messages = []
    position = 0
    while position < len(data):
        length, position = _DecodeVarint32(data, position)
        messages.append(data[position:position + length])
        position += length
    return [(loss_service_pb2.LossItem.FromString(item),
             loss_service_pb2.LossResult.FromString(result))
            for item, result in zip(messages[::2], messages[1::2])]


def check_all(client, library_cases, place, check):
    """`place` gives the array that is sent, `check` looks at the result."""
    losses = set()
    for item, expected in library_cases:
        loss, given = keywords(item)
        losses.add(loss)
        predictions, targets = place(array(item.predictions)), targets_of(item)
        given = {name: place(value) if isinstance(value, numpy.ndarray)
                 else value for name, value in given.items()}
        result = client.compute(
            loss, predictions, None if targets is None else place(targets),
            outputs=("gradient", "row_losses"), **given)
        where = f"{loss} {given}"
        for name in FIGURES:
            assert same_bits(getattr(result, name),
                             getattr(expected, name)), f"{where}: {name}"
        assert same_bits(result.gradient, array(expected.gradient)), where
        assert result.extra_gradients.keys() == expected.extra_gradients.keys()
        for name, gradient in expected.extra_gradients.items():
            assert same_bits(result.extra_gradients[name],
                             array(gradient)), f"{where}: {name}"
        assert same_bits(result.row_losses, array(expected.row_losses)), where
        check(result)
    assert losses == {info.name for info in client.list_losses()}


def test_every_case_has_the_bits_of_the_library(client, library_cases):
    check_all(client, library_cases, lambda value: value, lambda result: None)


def test_every_case_has_the_same_bits_in_an_arena(client, library_cases, arena):
    def check(result):
        places = [result.gradient, *result.extra_gradients.values()]
        if "scope" not in result.options:
            places.append(result.row_losses)
        for one in places:
            assert lies_in(arena, one) or not one.size

    check_all(client, library_cases, arena.copy, check)
    assert arena.taken == 0


def test_a_batch_has_the_bits_of_single_calls(client, library_cases):
    some = library_cases[::7]
    batch = []
    for item, _ in some:
        loss, given = keywords(item)
        batch.append(calls.Call(loss, array(item.predictions),
                                targets_of(item), **given))
    results = client.compute_batch(batch)
    assert len(results) == len(some) > 0
    for (item, expected), result in zip(some, results):
        assert same_bits(result.loss, expected.loss)
        assert same_bits(result.gradient, array(expected.gradient))
