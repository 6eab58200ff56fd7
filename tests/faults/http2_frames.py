"""HTTP/2 written by hand, for what no client would send."""

import contextlib
import socket
import struct

from calls import COMPUTE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
ACK, END_STREAM, END_HEADERS = 1, 1, 4
MAX_FRAME = 16384
CANCEL = struct.pack(">I", 8)


def frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack(">I", stream) + payload)


def _length(number):
    """An integer of HPACK, with 7 bits in its first byte."""
    if number < 127:
        return bytes([number])
    out, number = bytearray([127]), number - 127
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out + bytes([number]))


def literal(name, value):
    """A header that enters no table and is not compressed."""
    name, value = name.encode(), value.encode()
    return b"\0" + _length(len(name)) + name + _length(len(value)) + value


def call_headers(*more, path=COMPUTE):
    """Those of a call, and further ones."""
    return b"".join(literal(name, value) for name, value in (
        (":method", "POST"), (":scheme", "http"),
        (":path", path), (":authority", "faults"),
        ("te", "trailers"), ("content-type", "application/grpc"), *more))


def message(body):
    """A message of gRPC."""
    return struct.pack(">BI", 0, len(body)) + body


def connect(address, timeout=10):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


class RawConnection:
    """A connection whose settings have been exchanged."""

    def __init__(self, address, settings=b""):
        self.socket = connect(address)
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings)
                  + frame(SETTINGS, ACK, 0))

    def send(self, data):
        self.socket.sendall(data)

    def drain(self):
        """Throws away what has come; whether the connection is still open."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                self.socket.settimeout(10)

    def begin_call(self, stream, announced, part):
        """Headers and the first bytes of a body."""
        self.send(frame(HEADERS, END_HEADERS, stream,
                        call_headers(("lossd-bytes", f"{announced},0")))
                  + frame(DATA, 0, stream, part))

    def call(self, stream, request):
        """A whole call, of at most 64 KiB: what may be sent unasked."""
        body = message(request)
        self.begin_call(stream, len(body), body[:MAX_FRAME])
        for first in range(MAX_FRAME, len(body), MAX_FRAME):
            self.send(frame(DATA, 0, stream, body[first:first + MAX_FRAME]))
        self.send(frame(DATA, END_STREAM, stream))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
