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
    "int32": tensor_pb2.DTYPE_INT32,
    "int64": tensor_pb2.DTYPE_INT64,
    "bool": tensor_pb2.DTYPE_BOOL,
}
_NAMES = {number: name for name, number in _DTYPES.items()}

# Sent as a wider type that holds every value of theirs. Half types compute in
# float32 anyway.
_WIDENED = {
    "float16": "float32", "bfloat16": "float32", "int8": "int32",
    "uint8": "int32", "int16": "int32", "uint16": "int32", "uint32": "int64",
}


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
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        # numpy has no such type.
        tensor = tensor.float()
    return tensor.numpy()


def to_wire(value: ArrayLike, name: str, real: bool) -> Sent:
    """The array as it is sent, sharing the caller's memory where dtype and
    layout allow. `real` makes float64 of integers that it holds exactly.
    `name` is for errors: TypeError for a dtype that cannot be sent."""
    if isinstance(value, numpy.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, allowed are arrays "
                        "without; hide rows with the keyword mask")
    array = _of_torch(value) if is_torch(value) else numpy.asarray(value)
    if real and array.dtype.kind in "iu":
        floats = array.astype("float64")
        if (floats.astype(array.dtype) == array).all():
            array = floats
    dtype = _WIDENED.get(array.dtype.name, array.dtype.name)
    if dtype not in _DTYPES:
        raise TypeError(
            f"{name}: got dtype {array.dtype}, allowed are "
            f"{', '.join([*_DTYPES, *_WIDENED])}")
    shape = array.shape
    array = numpy.ascontiguousarray(array, numpy.dtype(dtype).newbyteorder("<"))
    return Sent(_DTYPES[dtype], shape,
                memoryview(array.reshape(-1).view(numpy.uint8)))


def of_wire(dtype: int, shape: tuple[int, ...], data: memoryview,
            like: ArrayLike, same_dtype: bool) -> Array:
    """A tensor of the wire as the caller's own array: a torch tensor if `like`
    is one, on its device; with `same_dtype` in the half type of `like`, if it
    has one."""
    array = numpy.frombuffer(data, _NAMES[dtype]).reshape(shape).copy()
    if is_torch(like):
        import torch
        tensor = torch.from_numpy(array)
        narrow = same_dtype and like.dtype in (torch.float16, torch.bfloat16)
        return tensor.to(like.device, like.dtype if narrow else None)
    wanted = getattr(like, "dtype", None)
    if same_dtype and str(wanted) in ("float16", "bfloat16"):
        return array.astype(wanted)
    return array
