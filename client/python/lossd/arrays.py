"""Arrays of the caller as tensors of the wire, and back."""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

import numpy

from lossd.v1 import tensor_pb2

# What can be given: numpy arrays, torch tensors, lists, numbers, and whatever
# numpy.asarray takes.
ArrayLike = Any
# What is given back: a numpy array, or a torch tensor.
Array = Any

_DTYPES = {
    "float32": tensor_pb2.DTYPE_FLOAT32,
    "float64": tensor_pb2.DTYPE_FLOAT64,
    "float16": tensor_pb2.DTYPE_FLOAT16,
    "bfloat16": tensor_pb2.DTYPE_BFLOAT16,
    "int32": tensor_pb2.DTYPE_INT32,
    "int64": tensor_pb2.DTYPE_INT64,
    "bool": tensor_pb2.DTYPE_BOOL,
}
_NAMES = {number: name for name, number in _DTYPES.items()}
# Bytes of an element.
ITEMSIZES = {number: 2 if name == "bfloat16" else numpy.dtype(name).itemsize
             for name, number in _DTYPES.items()}

# Sent as a wider type that holds every value of theirs.
_WIDENED = {"int8": "int32", "uint8": "int32", "int16": "int32",
            "uint16": "int32", "uint32": "int64"}


class Sent(NamedTuple):
    """An array as it is sent: dtype of the wire, shape, and its bytes or where
    they are in an arena."""

    dtype: int
    shape: tuple[int, ...]
    data: memoryview | tensor_pb2.ArenaRef


def nbytes_of(dtype: int, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor of the wire."""
    return math.prod(shape) * ITEMSIZES[dtype]


def dtype_named(name: str, keyword: str) -> int:
    """The dtype of the wire of that name, which `keyword` asked for."""
    if name not in _DTYPES:
        raise TypeError(f"{keyword}: got {name!r}, allowed is one of "
                        f"{', '.join(_DTYPES)}")
    return _DTYPES[name]


def name_of(dtype: Any) -> str:
    """The name of a dtype of torch."""
    return str(dtype).removeprefix("torch.")


def is_torch(value: ArrayLike) -> bool:
    """Whether it is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_sent_as_is(tensor: Array) -> bool:
    """Whether a torch tensor's dtype is one of the wire."""
    return name_of(tensor.dtype) in _DTYPES


def _of_torch(tensor):
    """The tensor as an array, and the name of its dtype."""
    tensor = tensor.detach().cpu()
    name = name_of(tensor.dtype)
    if name == "bfloat16":
        # numpy has no such type: its codes, then.
        import torch
        tensor = tensor.contiguous().view(torch.int16)
    return tensor.numpy(), name


def of_numpy(value: ArrayLike, name: str) -> numpy.ndarray:
    """The numpy array of anything but a torch tensor; `name` is for errors."""
    if isinstance(value, numpy.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, allowed are arrays "
                        "without; hide rows with the keyword mask")
    return numpy.asarray(value)


def to_wire(value: ArrayLike, name: str, real: bool) -> Sent:
    """The array as it is sent, sharing the caller's memory where dtype and
    layout allow. `real` makes float64 of integers that it holds exactly.
    `name` is for errors: TypeError for a dtype that cannot be sent."""
    if is_torch(value):
        array, dtype = _of_torch(value)
    else:
        array = of_numpy(value, name)
        dtype = array.dtype.name
    if real and dtype.startswith(("int", "uint")):
        floats = array.astype("float64")
        if (floats.astype(array.dtype) == array).all():
            array, dtype = floats, "float64"
    dtype = _WIDENED.get(dtype, dtype)
    if dtype not in _DTYPES:
        raise TypeError(f"{name}: got dtype {dtype}, allowed are "
                        f"{', '.join([*_DTYPES, *_WIDENED])}")
    shape = array.shape
    stored = array.dtype if dtype == "bfloat16" else numpy.dtype(dtype)
    array = numpy.ascontiguousarray(array, stored.newbyteorder("<"))
    return Sent(_DTYPES[dtype], shape,
                memoryview(array.reshape(-1).view(numpy.uint8)))


def _of_bfloat16(codes, like):
    """Numbers of bfloat16 codes: in the type of `like`, if that is one of
    theirs, else the float32 numbers that they are."""
    dtype = getattr(like, "dtype", None)
    if getattr(dtype, "name", None) == "bfloat16":
        return codes.view(dtype)
    return (codes.astype("<u4") << 16).view("<f4")


def of_wire(dtype: int, shape: tuple[int, ...], data: memoryview,
            like: ArrayLike) -> Array:
    """A tensor of the wire as an array of the caller's kind: a torch tensor if
    `like` is one, on its device. It borrows `data` that can be written to and
    copies other. numpy has no bfloat16, so its numbers are float32 unless
    `like` is an array of a type of that name."""
    if data.readonly:
        data = memoryview(numpy.frombuffer(data, numpy.uint8).copy())
    if _NAMES[dtype] != "bfloat16":
        array = numpy.frombuffer(data, _NAMES[dtype]).reshape(shape)
        if not is_torch(like):
            return array
        import torch
        return torch.from_numpy(array).to(like.device)
    codes = numpy.frombuffer(data, "<i2").reshape(shape)
    if not is_torch(like):
        return _of_bfloat16(codes.view("<u2"), like)
    import torch
    return torch.from_numpy(codes).view(torch.bfloat16).to(like.device)
