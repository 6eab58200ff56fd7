"""An arena socket for the tests, whose answers they make."""

import contextlib
import fcntl
import os
import socket
import struct
import threading

REQUEST = struct.Struct("<4sHHQQ16s8x")
REPLY = struct.Struct("<4sHHQIIQ16s208s")
CREATE, FREE = 1, 2
# Longer than anything here takes, with sanitizers too.
DEADLINE = 60


def memory_file(nbytes, seals=fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW):
    descriptor = os.memfd_create("arena", os.MFD_ALLOW_SEALING)
    os.truncate(descriptor, nbytes)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def reply(kind=CREATE, tag=0, code=0, nbytes=0, arena_id=b"", text=b"",
          magic=b"LSDA", version=1, length=None):
    return REPLY.pack(magic, version, kind, tag, code,
                      len(text) if length is None else length, nbytes, arena_id,
                      text)


def lies_in(arena, value):
    """Whether a numpy array or a torch tensor lies in an Arena."""
    address = getattr(value, "data_ptr", lambda: value.ctypes.data)()
    return 0 <= address - arena._memory.address < arena.nbytes


class Peer:
    """Listens at `path`. For each request `answer(kind, tag, nbytes, arena_id)`
    gives the replies, (packet, descriptors), or None, which ends the
    connection.

    Attributes:
        requests: kind, tag, nbytes and id of each that has been answered, in
            order.
        connections: how many have come.
    """

    def __init__(self, path, answer):
        self.address = f"unix:{path}"
        self.requests = []
        self.connections = 0
        self._answer = answer
        self._came = threading.Condition()
        self._open = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(path))
        self._socket.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def wait_for(self, condition):
        """Until `condition(requests)`, which is looked at after each."""
        with self._came:
            assert self._came.wait_for(lambda: condition(self.requests),
                                       DEADLINE)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve,
                                          args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while True:
                packet = connection.recv(4096)
                if not packet:
                    return
                magic, version, *request = REQUEST.unpack(packet)
                assert (magic, version) == (b"LSDA", 1)
                answers = self._answer(*request)
                for data, descriptors in answers or ():
                    # Perhaps there is nobody any more.
                    with contextlib.suppress(BrokenPipeError):
                        socket.send_fds(connection, [data], descriptors)
                    for descriptor in descriptors:
                        os.close(descriptor)
                with self._came:
                    self.requests.append(tuple(request))
                    self._came.notify_all()
                if answers is None:
                    return
