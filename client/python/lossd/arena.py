"""Arenas: memory that a client shares with a lossd on its machine, so that
tensors in it need not travel."""

from __future__ import annotations

import bisect
import collections
import math
import mmap
import operator
import threading
import weakref
from typing import Any

import numpy

from lossd import arrays, errors, forks
from lossd.arena_socket import MAX_BYTES, Connection
from lossd.arrays import Array, ArrayLike, Sent
from lossd.connection import Settings
from lossd.free_list import FreeList
from lossd.v1 import tensor_pb2

_ALIGNMENT = 64
# Of an entry of the table of arenas.
_ADDRESS = operator.itemgetter(0)


def room_for(nbytes: int) -> int:
    """Bytes that an array of that many bytes takes in an arena."""
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT


class Block:
    """Bytes of an arena, taken until it goes. numpy.asarray makes an array of
    them that keeps it, as do all views of that array.

    Attributes:
        memory, offset, nbytes: where it is.
        is_lent: whether lossd may still write to it; then nobody else gets the
            bytes when it goes.
    """

    def __init__(self, memory: Memory, offset: int, nbytes: int):
        self.memory = memory
        self.offset = offset
        self.nbytes = nbytes
        self.is_lent = False
        self.__array_interface__ = {
            "version": 3, "typestr": "|u1", "shape": (nbytes,),
            "data": (memory.address + offset, False)}

    def __del__(self):
        if not self.is_lent:
            self.memory.returned.append(self.offset)


class Memory:
    """The memory of an arena. It lives as long as the Arena or a Block of it.
    Thread-safe.

    Attributes:
        id: the server's name for it; None for memory that is not shared.
        address, nbytes: where it is.
        closed: whether its Arena has been closed.
        returned: offsets of blocks that have gone. Only appended to by
            finalizers, which run anywhere and must not wait for a lock.
    """

    def __init__(self, mapping: mmap.mmap, arena_id: bytes | None):
        # Unmapped when it goes, and nobody closes it before.
        self._mapping = mapping
        self.id = arena_id
        self.nbytes = len(mapping)
        self.address = numpy.frombuffer(mapping, numpy.uint8).ctypes.data
        self.closed = False
        self.returned = collections.deque()
        self._lock = threading.Lock()
        self._free_list = FreeList(self.nbytes)

    def _collect(self):
        while self.returned:
            self._free_list.give_back(self.returned.popleft())

    def take(self, nbytes: int) -> Block:
        """At least one byte. Raises ResourceExhausted if it does not fit,
        FailedPrecondition if the arena is closed."""
        with self._lock:
            if self.closed:
                raise errors.FailedPrecondition("the arena has been closed")
            self._collect()
            offset = self._free_list.take(room_for(nbytes))
            if offset is None:
                raise errors.ResourceExhausted(
                    f"{nbytes} bytes do not fit into the arena of {self.nbytes}"
                    f" bytes: {self.nbytes - self._free_list.taken} are free, "
                    f"{self._free_list.largest} in one piece")
            return Block(self, offset, nbytes)

    @property
    def taken(self) -> int:
        """Bytes that blocks have now."""
        with self._lock:
            self._collect()
            return self._free_list.taken


class Arena:
    """Memory that lossd reads and writes where it lies, as Client.create_arena
    makes it.

        with client.create_arena(1 << 30) as arena:
            predictions = arena.tensor((4096, 32768))

    Arrays in it are ordinary ones, given to calls as any other; where the
    predictions lie in it, so do the results as far as there is room. Their
    bytes are free for others when neither an array nor a view of it is left.
    Thread-safe. Its methods raise RuntimeError in a forked process.

    Attributes:
        nbytes: size; what was asked for, rounded up to whole pages.
        shared: whether lossd sees it. If not, arrays in it are sent.
    """

    def __init__(self, memory: Memory):
        self._memory = memory
        self.nbytes = memory.nbytes
        self.shared = memory.id is not None

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def taken(self) -> int:
        """Bytes that arrays hold now."""
        return self._memory.taken

    def close(self) -> None:
        """Ends it: whoever asks it for an array, or gives a call one of its
        arrays, gets FailedPrecondition. The arrays that there are stay as they
        are; lossd frees the memory when the last of them has gone."""
        self._memory.closed = True

    def _bytes(self, shape, itemsize):
        """The shape, and uninitialised bytes for it."""
        forks.check_process()
        try:
            shape = tuple(map(operator.index, shape))
        except TypeError:
            shape = (operator.index(shape),)
        if any(size < 0 for size in shape):
            raise ValueError(f"shape: got {shape}, allowed are sizes >= 0")
        nbytes = math.prod(shape) * itemsize
        if not nbytes:
            return shape, numpy.empty(0, numpy.uint8)
        return shape, numpy.asarray(self._memory.take(nbytes))

    def array(self, shape: int | tuple[int, ...],
              dtype: Any = "float32") -> numpy.ndarray:
        """A new numpy array, 64-byte aligned, of any content.

        Args:
            shape: sizes of the axes.
            dtype: one that lossd reads: float32, float64, float16, int32,
                int64, bool, or bfloat16 of ml_dtypes.

        Raises:
            TypeError: another dtype; ValueError: a negative size.
            ResourceExhausted: it does not fit.
            FailedPrecondition: the arena has been closed.
        """
        dtype = numpy.dtype(dtype)
        arrays.dtype_named(dtype.name, "dtype")
        if not dtype.isnative:
            dtype = dtype.newbyteorder()
        shape, data = self._bytes(shape, dtype.itemsize)
        return data.view(dtype).reshape(shape)

    def tensor(self, shape: int | tuple[int, ...], dtype: Any = None) -> Array:
        """As `array`, a torch tensor on the CPU.

        Args:
            shape: sizes of the axes.
            dtype: float32 (if left out), float64, float16, bfloat16, int32,
                int64 or bool of torch.

        Raises:
            As `array`.
        """
        import torch
        dtype = dtype or torch.float32
        number = arrays.dtype_named(arrays.name_of(dtype), "dtype")
        shape, data = self._bytes(shape, arrays.ITEMSIZES[number])
        if not data.size:
            return torch.empty(shape, dtype=dtype)
        return torch.from_numpy(data).view(dtype).reshape(shape)

    def copy(self, value: ArrayLike) -> Array:
        """A new array with the shape, dtype and numbers of another one: a torch
        tensor of a torch tensor, else a numpy array. Raises as `array`."""
        if arrays.is_torch(value):
            return self.tensor(value.shape, value.dtype).copy_(value.detach())
        value = arrays.of_numpy(value, "value")
        copy = self.array(value.shape, value.dtype)
        copy[...] = value
        return copy


class Arenas:
    """The arenas of a client: makes them, and knows which memory is theirs.
    Thread-safe."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._lock = threading.Lock()
        self._connection = None
        # Address and weak reference of each Memory, in order. Replaced, never
        # changed; some of them may have gone.
        self._table = ()

    def __bool__(self) -> bool:
        return bool(self._table)

    def create(self, nbytes: int, address: str, fall_back: bool) -> Arena:
        """As Client.create_arena; `address` is empty if there is none."""
        forks.check_process()
        nbytes = operator.index(nbytes)
        if not 1 <= nbytes <= MAX_BYTES:
            raise ValueError(f"nbytes: got {nbytes}, allowed is 1 to "
                             f"{MAX_BYTES}")
        # As many as its pages have.
        nbytes = -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        try:
            if not address:
                raise errors.Unimplemented(
                    f"{self._settings.target} offers no arenas to this client")
            memory = self._shared(nbytes, address)
        except (errors.Unimplemented, errors.Unavailable):
            if not fall_back:
                raise
            memory = Memory(mmap.mmap(-1, nbytes), None)
        with self._lock:
            known = [entry for entry in self._table if entry[1]() is not None]
            known.append((memory.address, weakref.ref(memory)))
            self._table = tuple(sorted(known, key=_ADDRESS))
        return Arena(memory)

    def _shared(self, nbytes, address):
        connection, is_new = self._connect(address)
        try:
            made = connection.create(nbytes, self._settings.timeout)
        except errors.Unavailable:
            if is_new or not connection.broken:
                raise
            # The server has restarted since.
            connection, _ = self._connect(address)
            made = connection.create(nbytes, self._settings.timeout)
        arena_id, mapping = made
        memory = Memory(mapping, arena_id)
        # Not at exit: then the connection ends anyway.
        weakref.finalize(memory, connection.free, arena_id).atexit = False
        return memory

    def _connect(self, address):
        """A connection, and whether it is new."""
        with self._lock:
            known = self._connection
            if known and not known.broken and known.address == address:
                return known, False
            self._connection = Connection(address,
                                          self._settings.connect_timeout)
            return self._connection, True

    def find(self, address: int, nbytes: int) -> tuple[Memory, int] | None:
        """The memory of an arena that these bytes lie wholly in, and their
        offset there."""
        table = self._table
        index = bisect.bisect(table, address, key=_ADDRESS)
        memory = table[index - 1][1]() if index else None
        if memory is None or address + nbytes > memory.address + memory.nbytes:
            return None
        return memory, address - memory.address

    def placed(self, sent: Sent, name: str) -> tuple[Sent, Memory | None]:
        """A tensor as it is sent from here, and the shared memory that it lies
        in: by reference, if so. Raises FailedPrecondition if that arena has
        been closed; `name` is for the error."""
        if not self._table or not sent.data.nbytes:
            return sent, None
        data = numpy.frombuffer(sent.data, numpy.uint8)
        found = self.find(data.ctypes.data, data.nbytes)
        if found is None:
            return sent, None
        memory, offset = found
        if memory.closed:
            raise errors.FailedPrecondition(
                f"{name} lies in an arena that has been closed")
        if memory.id is None:
            return sent, None
        ref = tensor_pb2.ArenaRef(id=memory.id, offset=offset,
                                  length=data.nbytes)
        return sent._replace(data=ref), memory

    def close(self) -> None:
        """Ends the connection when the last arena of it has gone."""
        with self._lock:
            self._connection = None
