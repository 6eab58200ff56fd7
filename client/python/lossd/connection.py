"""What the clients have in common: the channel's options, when to try again,
and what the server says of itself."""

from __future__ import annotations

import os
import random
import time
from typing import Any, NamedTuple

import grpc

from lossd import errors
from lossd.v1 import loss_service_pb2

COMPUTE = "/lossd.v1.LossService/Compute"
SERVER_INFO = "/lossd.v1.LossService/GetServerInfo"
LIST_LOSSES = "/lossd.v1.LossService/ListLosses"

# The bytes of the request and, about, of the reply.
_BYTES = "lossd-bytes"

# CANCELLED by a server means that it is shutting down: ours raise before.
_TRY_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_FIRST_WAIT = 0.05
_LONGEST_WAIT = 1.0

OPTIONS = (
    # The server's limit is learnt over this very channel, and kept here.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Else http_proxy in the environment diverts even calls to 127.0.0.1.
    ("grpc.enable_http_proxy", 0),
    # Else a name server could add retries beside those made here.
    ("grpc.service_config_disable_resolution", 1),
    # gRPC's own retries give up on what is larger than a small buffer.
    ("grpc.enable_retries", 0),
    # A server that restarts is found again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class Settings(NamedTuple):
    """How a client connects and what holds for its calls."""

    target: str
    timeout: float
    connect_timeout: float
    credentials: Any


def settings(target: str | None, timeout: float, connect_timeout: float,
             credentials: grpc.ChannelCredentials | None) -> Settings:
    """The settings of a client; without a target that of the environment's
    LOSSD_SERVER, else 127.0.0.1:50051."""
    if not target:
        target = os.environ.get("LOSSD_SERVER") or "127.0.0.1:50051"
    return Settings(target, timeout, connect_timeout, credentials)


class Tries:
    """The tries of one call until its deadline.

    A loss is a function of the request: sending it again is always right, but
    for results that overwrite what it reads; then `is_repeatable` is false.

    Attributes:
        may_be_at_work: whether the server may still compute for a try that has
            failed.
    """

    def __init__(self, target: str, timeout: float, is_repeatable: bool):
        self.may_be_at_work = False
        self._is_repeatable = is_repeatable
        self._target = target
        self._deadline = time.monotonic() + timeout
        self._wait = _FIRST_WAIT
        self._refused = None

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return max(self._deadline - time.monotonic(), 0.0)

    def arguments(self, request: bytes) -> dict[str, Any]:
        """What the next try passes to gRPC with its request.

        The server reserves memory before it reads the request, by what the
        metadata say; a reply's tensors are rarely larger than the request's.

        Tries after the first wait for a connection: without a call to wait,
        gRPC for Python looks only every five seconds after the connection that
        it is making.
        """
        return {"metadata": ((_BYTES, f"{len(request)},{len(request)}"),),
                "timeout": self.remaining(),
                "wait_for_ready": self._refused is not None}

    def wait_after(self, error: grpc.RpcError) -> float:
        """Seconds to wait before the next try; raises if there is none."""
        code = error.code()
        if code == grpc.StatusCode.DEADLINE_EXCEEDED and self._refused:
            raise errors.of_rpc(self._refused, self._target) from None
        asked = errors.retry_delay(error)
        # Who asks has not begun, or has given up.
        self.may_be_at_work = asked is None
        wait = self._wait * random.uniform(0.5, 1) if asked is None else asked
        if (code not in _TRY_AGAIN or wait > self.remaining() or
                self.may_be_at_work and not self._is_repeatable):
            raise errors.of_rpc(error, self._target) from None
        # Its traceback leads to the frame that holds this: a circle, in which
        # what is in arenas would stay for a while.
        self._refused = error.with_traceback(None)
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        return wait


class Server:
    """What the first answer of a server told, for all later calls."""

    def __init__(self, target: str, info: bytes):
        message = loss_service_pb2.GetServerInfoResponse.FromString(info)
        self._target = target
        self._message_limit = message.limits.max_message_bytes
        self.numerics_version = message.numerics_version

    def check_size(self, request: bytes) -> None:
        """Raises ResourceExhausted if the server would not accept it."""
        if len(request) > self._message_limit:
            raise errors.ResourceExhausted(
                f"the request has {len(request)} bytes, more than the message "
                f"limit of {self._message_limit} bytes of {self._target}")
