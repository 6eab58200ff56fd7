"""Messages with tensors, written and read around their generated classes, so
that large data is copied once on its way into a request and once out of a
reply, if it does not lie in an arena. All else goes through the generated
classes."""

from __future__ import annotations

from typing import Iterator

from lossd.arrays import Sent
from lossd.v1 import loss_service_pb2, tensor_pb2

_BYTES = 2  # The wire type of strings, bytes and messages.


def _number(message_class, field: str) -> int:
    return message_class.DESCRIPTOR.fields_by_name[field].number


_DATA = _number(tensor_pb2.Tensor, "data")
_ITEMS = _number(loss_service_pb2.ComputeRequest, "items")
_DEFAULTS = _number(loss_service_pb2.ComputeRequest, "defaults")
_EXTRA_INPUTS = _number(loss_service_pb2.LossItem, "extra_inputs")
_RESULTS = _number(loss_service_pb2.ComputeResponse, "results")
_RESULT_TENSORS = {_number(loss_service_pb2.LossResult, name): name
                   for name in ("gradient", "row_losses")}
# Of an entry of a map, by definition of the encoding.
_KEY, _VALUE = 1, 2


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(number: int, parts: list) -> list:
    """The parts as one field of that number. Parts are bytes-like."""
    length = sum(len(part) for part in parts)
    return [_varint(number << 3 | _BYTES) + _varint(length), *parts]


def _tensor(sent: Sent) -> list:
    head = tensor_pb2.Tensor(dtype=sent.dtype, shape=sent.shape)
    if isinstance(sent.data, tensor_pb2.ArenaRef):
        head.arena.CopyFrom(sent.data)
        return [head.SerializeToString()]
    return [head.SerializeToString(), *_field(_DATA, [sent.data])]


def item(message: loss_service_pb2.LossItem, tensors: dict[str, Sent],
         extra_inputs: dict[str, Sent]) -> list:
    """The parts of a LossItem: `message`, and its tensors by name."""
    parts = [message.SerializeToString()]
    for name, sent in tensors.items():
        parts += _field(_number(loss_service_pb2.LossItem, name), _tensor(sent))
    for name, sent in extra_inputs.items():
        parts += _field(_EXTRA_INPUTS, [*_field(_KEY, [name.encode()]),
                                        *_field(_VALUE, _tensor(sent))])
    return parts


def request(defaults: list, items: list[list], numerics_version: str) -> bytes:
    """The bytes of a ComputeRequest, from the parts of its items."""
    parts = [loss_service_pb2.ComputeRequest(
        numerics_version=numerics_version).SerializeToString()]
    if defaults:
        parts += _field(_DEFAULTS, defaults)
    for one in items:
        parts += _field(_ITEMS, one)
    return b"".join(parts)


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """The fields of a message: number, content, and the field whole. The
    content is empty unless the wire type is that of bytes."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _read_varint(data, position)
        content = data[:0]
        wire_type = tag & 7
        if wire_type == 0:
            _, position = _read_varint(data, position)
        elif wire_type == 1:
            position += 8
        elif wire_type == 5:
            position += 4
        elif wire_type == _BYTES:
            length, begin = _read_varint(data, position)
            position = begin + length
            content = data[begin:position]
        else:
            raise ValueError(f"lossd: wire type {wire_type} in a reply")
        yield tag >> 3, content, data[start:position]


def read_tensor(data: memoryview) -> Sent:
    """A tensor of a reply. It borrows `data`."""
    storage = data[:0]
    rest = []
    for number, content, whole in _fields(data):
        if number == _DATA:
            storage = content
        else:
            rest.append(whole)
    return _sent_of(tensor_pb2.Tensor.FromString(b"".join(rest)), storage)


def _sent_of(head, data):
    return Sent(head.dtype, tuple(head.shape),
                head.arena if head.HasField("arena") else data)


def read_response(data: bytes) -> tuple[
        loss_service_pb2.ComputeResponse, list[dict[str, Sent]]]:
    """A ComputeResponse without gradients and row losses, and the tensors of
    each result by the names that StreamChunk.tensor gives them. They borrow
    `data`."""
    rest = []
    tensors = []
    for number, content, whole in _fields(memoryview(data)):
        if number != _RESULTS:
            rest.append(whole)
            continue
        found = {}
        parts = []
        for member, inner, inner_whole in _fields(content):
            name = _RESULT_TENSORS.get(member)
            if name:
                found[name] = read_tensor(inner)
            else:
                parts.append(inner_whole)
        tensors.append(found)
        rest += _field(_RESULTS, parts)
    response = loss_service_pb2.ComputeResponse.FromString(b"".join(rest))
    for found, result in zip(tensors, response.results):
        for name, tensor in result.extra_gradients.items():
            found[name] = _sent_of(tensor, memoryview(tensor.data))
    return response, tensors
