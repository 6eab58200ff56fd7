"""The arena socket, over which lossd hands out memory that it shares with a
client on its machine: the client's end of proto/arena/protocol.h."""

from __future__ import annotations

import array
import contextlib
import itertools
import mmap
import os
import socket
import struct
import threading
import time
from typing import NamedTuple, NoReturn

from lossd import errors

MAX_BYTES = 1 << 50

_MAGIC = b"LSDA"
_VERSION = 1
_NONE, _CREATE, _FREE = 0, 1, 2
# Magic, version, kind, tag; then bytes and id.
_REQUEST = struct.Struct("<4sHHQQ16s8x")
# Magic, version, kind, tag; then code, length of the text, bytes, id, text.
_REPLY = struct.Struct("<4sHHQIIQ16s208s")
_NO_ID = bytes(16)


class _Reply(NamedTuple):
    kind: int
    tag: int
    code: int
    nbytes: int
    id: bytes
    text: str


def _decoded(packet: bytes) -> _Reply:
    """ValueError, saying why, for a packet that is no reply."""
    if len(packet) != _REPLY.size:
        raise ValueError(f"{len(packet)} bytes instead of {_REPLY.size}")
    magic, version, kind, tag, code, length, nbytes, arena_id, text = (
        _REPLY.unpack(packet))
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError(f"magic {magic!r} and version {version} instead of "
                         f"{_MAGIC!r} and {_VERSION}")
    if kind not in (_NONE, _CREATE, _FREE):
        raise ValueError(f"kind {kind}")
    if length > len(text):
        raise ValueError(f"a text of {length} bytes")
    return _Reply(kind, tag, code, nbytes, arena_id,
                  text[:length].decode("utf-8", "replace"))


def _check_sealed(descriptor: int) -> None:
    """ValueError if the file could shrink: touching what is gone kills."""
    # Not everywhere where the rest of lossd is.
    import fcntl
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0
    if not seals & fcntl.F_SEAL_SHRINK:
        raise ValueError("a file that is not sealed against shrinking")


class Connection:
    """A connection to the arena socket. The arenas that came over it live no
    longer than it: it ends when nobody refers to it any more. Thread-safe.

    Args:
        address: "unix:PATH".
        timeout: seconds it may take to connect.

    Raises:
        ValueError: another address.
        Unavailable: nobody answers there.

    Attributes:
        address: as given.
        broken: whether no more arenas will come over it.
    """

    def __init__(self, address: str, timeout: float):
        if not address.startswith("unix:"):
            raise ValueError(f"address: got {address!r}, allowed is unix:PATH")
        self.address = address
        self.broken = False
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._tags = itertools.count(1)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(address.removeprefix("unix:"))
        except OSError as error:
            raise errors.Unavailable(f"{address}: {error}") from None

    def __del__(self):
        if hasattr(self, "_socket"):
            self._socket.close()

    def create(self, nbytes: int, timeout: float) -> tuple[bytes, mmap.mmap]:
        """A new arena of that many bytes, 1 to MAX_BYTES: its id, and its
        memory, which is unmapped when nobody refers to it any more.

        Raises:
            LossdError: the server's refusal; DeadlineExceeded without an answer
                within `timeout` seconds; Unavailable if the connection ends,
                Internal for an answer that is none: then it is `broken`.
        """
        deadline = time.monotonic() + timeout
        if not self._lock.acquire(timeout=timeout):
            raise self._no_answer()
        try:
            tag = next(self._tags)
            with contextlib.ExitStack() as descriptors:
                self._send(_CREATE, tag, nbytes, timeout)
                while True:
                    reply, received = self._receive(deadline, descriptors)
                    if (reply.kind, reply.tag) == (_CREATE, tag):
                        break
                    if reply.kind == _NONE:
                        self.broken = True
                        raise self._refused(reply)
                    if reply.kind == _CREATE and not reply.code:
                        # Of a call that did not wait so long.
                        self.free(reply.id)
                if reply.code:
                    raise self._refused(reply)
                return reply.id, self._mapped(reply, received, nbytes)
        finally:
            self._lock.release()

    def free(self, arena_id: bytes) -> None:
        """Frees an arena. For finalizers: it does not wait for the answer,
        takes no lock and does not raise. In a forked process it does nothing:
        the arena is the parent's."""
        if os.getpid() == self._process:
            with contextlib.suppress(OSError):
                self._socket.send(_REQUEST.pack(
                    _MAGIC, _VERSION, _FREE, next(self._tags), 0, arena_id))

    def _no_answer(self):
        return errors.DeadlineExceeded(f"{self.address}: no answer in time")

    def _refused(self, reply):
        if not reply.code:
            return errors.Internal(f"{self.address}: a reply without a kind")
        return errors.of_code(reply.code, f"{self.address}: {reply.text}")

    def _broke(self, error_class, reason) -> NoReturn:
        self.broken = True
        raise error_class(f"{self.address}: {reason}") from None

    def _send(self, kind, tag, nbytes, timeout):
        self._socket.settimeout(timeout)
        try:
            self._socket.send(_REQUEST.pack(_MAGIC, _VERSION, kind, tag, nbytes,
                                            _NO_ID))
        except OSError as error:
            self._broke(errors.Unavailable, error)

    def _receive(self, deadline, descriptors):
        """A reply, and its descriptors, which `descriptors` closes."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise self._no_answer()
        self._socket.settimeout(remaining)
        numbers = array.array("i")
        try:
            # One byte and one descriptor more than allowed. socket.recv_fds
            # has no way to keep descriptors from programs that are started.
            packet, ancillary, flags, _ = self._socket.recvmsg(
                _REPLY.size + 1, socket.CMSG_LEN(2 * numbers.itemsize),
                socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            raise self._no_answer() from None
        except OSError as error:
            self._broke(errors.Unavailable, error)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers.frombytes(
                    data[:len(data) // numbers.itemsize * numbers.itemsize])
        for number in numbers:
            descriptors.callback(os.close, number)
        if not packet:
            self._broke(errors.Unavailable, "the server closed the connection")
        try:
            reply = _decoded(packet)
            expected = int(reply.kind == _CREATE and not reply.code)
            if len(numbers) != expected or flags & socket.MSG_CTRUNC:
                raise ValueError(f"{len(numbers)} descriptors or more instead "
                                 f"of {expected}")
        except ValueError as error:
            self._broke(errors.Internal, f"not a reply: {error}")
        return reply, list(numbers)

    def _mapped(self, reply, received, nbytes):
        descriptor, = received
        try:
            size = os.fstat(descriptor).st_size
            if not reply.nbytes == size == nbytes:
                raise ValueError(f"{reply.nbytes} bytes in a file of {size} "
                                 f"instead of {nbytes}")
            _check_sealed(descriptor)
        except ValueError as error:
            self._broke(errors.Internal, f"not an arena: {error}")
        try:
            # Populated, or the first pass over it takes a fault a page.
            return mmap.mmap(descriptor, nbytes,
                             flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        except OSError as error:
            self.free(reply.id)
            raise errors.ResourceExhausted(
                f"{self.address}: {nbytes} bytes cannot be mapped: {error}"
            ) from None
