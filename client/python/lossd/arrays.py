"""Arrays of the caller as tensors of the wire, and back."""

from __future__ import annotations

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

# Sent as a wider type that holds every value of theirs.
_WIDENED = {"int8": "int32", "uint8": "int32", "int16": "int32",
            "uint16": "int32", "uint32": "int64"}


class Sent(NamedTuple):
    """An array as it is sent: dtype of the wire, shape, and its bytes."""

    dtype: int
    shape: tuple[int, ...]
    data: memoryview


def dtype_named(name: str) -> int:
    """The dtype of the wire of that name."""
    if name not in _DTYPES:
        raise TypeError(f"gradient_dtype: got {name!r}, allowed is one of "
                        f"{', '.join(_DTYPES)}")
    return _DTYPES[name]


def is_torch(value: ArrayLike) -> bool:
    """Whether it is a torch tensor; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _of_torch(tensor):
    """The tensor as an array, and the name of its dtype."""
    tensor = tensor.detach().cpu()
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "bfloat16":
        # numpy has no such type: its codes, then.
        import torch
        tensor = tensor.contiguous().view(torch.int16)
    return tensor.numpy(), name


def to_wire(value: ArrayLike, name: str, real: bool) -> Sent:
    """The array as it is sent, sharing the caller's memory where dtype and
    layout allow. `real` makes float64 of integers that it holds exactly.
    `name` is for errors: TypeError for a dtype that cannot be sent."""
    if isinstance(value, numpy.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, allowed are arrays "
                        "without; hide rows with the keyword mask")
    if is_torch(value):
        array, dtype = _of_torch(value)
    else:
        array = numpy.asarray(value)
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


def _of_bfloat16(data, like):
    """Numbers of bfloat16 codes: in the type of `like`, if that is one of
    theirs, else the float32 numbers that they are."""
    codes = numpy.frombuffer(data, "<u2")
    dtype = getattr(like, "dtype", None)
    if getattr(dtype, "name", None) == "bfloat16":
        return codes.copy().view(dtype)
    return (codes.astype("<u4") << 16).view("<f4")


def of_wire(dtype: int, shape: tuple[int, ...], data: memoryview,
            like: ArrayLike) -> Array:
    """A tensor of the wire as the caller's own array: a torch tensor if `like`
    is one, on its device. numpy has no bfloat16, so its numbers are float32
    unless `like` is an array of a type of that name."""
    if is_torch(like):
        import torch
        if _NAMES[dtype] == "bfloat16":
            codes = numpy.frombuffer(data, "<i2").copy()
            tensor = torch.from_numpy(codes).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(
                numpy.frombuffer(data, _NAMES[dtype]).copy())
        return tensor.reshape(shape).to(like.device)
    if _NAMES[dtype] == "bfloat16":
        return _of_bfloat16(data, like).reshape(shape)
    return numpy.frombuffer(data, _NAMES[dtype]).reshape(shape).copy()
