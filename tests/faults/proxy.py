"""A TCP proxy that does to connections what networks do."""

import contextlib
import random
import socket
import struct
import threading
import time

# Reads at most so much, so that a message is cut in its middle.
PIECE = 16384
# Some connections end in their first call, others after several.
MOST_BYTES = 4_000_000


def listen():
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def reset(connection):
    """Closes with RST instead of FIN."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
    connection.close()


class Proxy:
    """Modes, which count for connections from now on and for those that are:
    `pass`; `delay`, each piece by up to 30 ms; `close` and `reset` a connection
    after some bytes; `truncate`, a piece is cut and the connection closed;
    `lose`, nothing comes through any more, without a word."""

    MODES = ("delay", "close", "reset", "truncate", "lose")

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._listener = listen()
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._random = random.Random(1)
        self._lock = threading.Lock()
        self._open = set()
        self._mode, self.faults = "pass", 0
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode):
        self._mode, self.faults = mode, 0

    def restore(self):
        """Passes everything; connections that have lost bytes are reset."""
        lost = self._mode == "lose"
        self._mode = "pass"
        if lost:
            self._reset_all()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._target, 5)
                except OSError:
                    reset(client)
                    continue
                with self._lock:
                    self._open |= {client, server}
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=ends,
                                     daemon=True).start()

    def _pump(self, source, sink):
        left = self._random.randrange(MOST_BYTES)
        with contextlib.suppress(OSError, ValueError):
            while piece := source.recv(PIECE):
                left -= len(piece)
                if not self._forward(piece, sink, left < 0):
                    break
        hard = self._mode == "reset"
        with self._lock:
            self._open -= {source, sink}
        for end in (source, sink):
            with contextlib.suppress(OSError):
                # Wakes the other direction's thread.
                if not hard:
                    end.shutdown(socket.SHUT_RDWR)
            reset(end) if hard else end.close()

    def _forward(self, piece, sink, is_due):
        """Whether the connection goes on."""
        mode = self._mode
        if mode == "lose":
            self.faults += 1
            return True
        if mode == "delay":
            self.faults += 1
            time.sleep(self._random.uniform(0, 0.03))
        if mode == "truncate" and is_due:
            sink.sendall(piece[:self._random.randrange(len(piece))])
        if mode in ("truncate", "close", "reset") and is_due:
            self.faults += 1
            return False
        sink.sendall(piece)
        return True

    def _reset_all(self):
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            reset(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A thread that accepts is woken by this, by close() it is not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset_all()
