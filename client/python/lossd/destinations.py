"""Where results go if the predictions lie in an arena: beside them."""

from __future__ import annotations

import contextlib
from typing import Iterable

import numpy

from lossd import arrays, errors
from lossd.arena import Arenas, Block, Memory
from lossd.arrays import Array, ArrayLike, Sent
from lossd.v1 import (
    loss_info_pb2, loss_options_pb2, loss_service_pb2, tensor_pb2)


class Destination:
    """Bytes of an arena for one result."""

    def __init__(self, block: Block):
        self._block = block
        self.ref = tensor_pb2.ArenaRef(id=block.memory.id, offset=block.offset,
                                       length=block.nbytes)

    def set_lent(self, is_lent: bool) -> None:
        """Says whether lossd may write there: from the request until the
        reply, and for ever if none comes, since a call that has failed here may
        still be at work there."""
        self._block.is_lent = is_lent

    def array(self, written: Sent, like: ArrayLike) -> Array:
        """The result."""
        return arrays.of_wire(written.dtype, written.shape,
                              memoryview(numpy.asarray(self._block)), like)


class Given:
    """The caller's own array, for the gradient.

    Raises:
        ValueError: it has not the shape of the predictions, or is not in an
            arena.
        FailedPrecondition: that arena has been closed.
    """

    def __init__(self, array: Array, sent: Sent, predictions: Sent | None,
                 arenas: Arenas):
        if predictions is not None and sent.shape != predictions.shape:
            raise ValueError(f"gradient_to: got shape {tuple(sent.shape)}, "
                             "allowed is that of the predictions, "
                             f"{tuple(predictions.shape)}")
        placed, memory = arenas.placed(sent, "gradient_to")
        if memory is None:
            raise ValueError("gradient_to: got an array outside, allowed are "
                             "contiguous arrays in an arena of this client")
        self._array = array
        self.ref = placed.data

    def set_lent(self, is_lent: bool) -> None:
        """Nothing: it is the caller's."""

    def array(self, written: Sent, like: ArrayLike) -> Array:
        """The result."""
        return self._array


def _row_shape(item, shape):
    """The shape of the rows, as LossItem.sample_weights says; None for losses
    that have few."""
    options = getattr(item.loss, item.loss.WhichOneof("kind"))
    if "scope" in options.DESCRIPTOR.fields_by_name:
        return None
    row_loss = _info(item).row_loss
    is_element = (
        row_loss == "mean" and
        item.semantics == loss_service_pb2.SEMANTICS_PYTORCH or
        row_loss == "element" and
        getattr(options, "prediction_kind", None) !=
        loss_options_pb2.PREDICTION_KIND_LOGITS)
    return shape if is_element or len(shape) < 2 else shape[:-1]


def _info(item):
    options = getattr(item.loss, item.loss.WhichOneof("kind"))
    return options.DESCRIPTOR.GetOptions().Extensions[loss_info_pb2.loss]


def _results(item, predictions, extra_inputs):
    """Dtype and shape of each result that is an array."""
    if item.outputs.gradient:
        dtype = item.outputs.gradient_dtype or predictions.dtype
        yield "gradient", dtype, predictions.shape
        for one in _info(item).inputs:
            if one.differentiable and one.name in extra_inputs:
                yield one.name, dtype, predictions.shape
    if (item.outputs.row_losses or
            item.reduction == loss_service_pb2.REDUCTION_NONE):
        rows = _row_shape(item, predictions.shape)
        if rows is not None:
            yield "row_losses", tensor_pb2.DTYPE_FLOAT64, rows


def take(memory: Memory, item: loss_service_pb2.LossItem, predictions: Sent,
         extra_inputs: Iterable[str],
         given: dict[str, Given]) -> dict[str, Destination | Given]:
    """Room in the arena for the results that an item asks for, as far as there
    is some, by the names that StreamChunk.tensor gives them; `given` are there
    already."""
    places = dict(given)
    # Without a loss lossd will say so.
    if item.loss.WhichOneof("kind"):
        for name, dtype, shape in _results(item, predictions, extra_inputs):
            if name not in places:
                with contextlib.suppress(errors.ResourceExhausted):
                    places[name] = Destination(
                        memory.take(arrays.nbytes_of(dtype, shape)))
    return places


def name_in(outputs: loss_service_pb2.Outputs,
            destinations: dict[str, Destination | Given]) -> None:
    """Writes them into what an item asks for."""
    for name, destination in destinations.items():
        if name in ("gradient", "row_losses"):
            getattr(outputs, f"{name}_to").CopyFrom(destination.ref)
        else:
            outputs.extra_gradients_to[name].CopyFrom(destination.ref)


def array_of(written: Sent, destination: Destination | Given | None,
             like: ArrayLike) -> Array:
    """The array of a result, whether it came by itself or was written."""
    if not isinstance(written.data, tensor_pb2.ArenaRef):
        return arrays.of_wire(*written, like)
    if (destination is None or written.data != destination.ref or
            arrays.nbytes_of(written.dtype, written.shape) !=
            destination.ref.length):
        raise errors.Internal("a result lies where nobody asked for it")
    return destination.array(written, like)
