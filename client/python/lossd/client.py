"""The client of lossd."""

from __future__ import annotations

import functools
import threading
import time
from typing import Any, Callable, Iterable

import grpc

from lossd import connection, forks
from lossd._methods import LossMethods
from lossd.arena import Arena, Arenas
from lossd.arrays import ArrayLike
from lossd.calls import Batch, Call
from lossd.errors import Cancelled, LossdError
from lossd.results import LossAndGradient, Result
from lossd.v1 import loss_info_pb2, loss_service_pb2


class _Connection:
    """A channel of this process, and the server behind it."""

    def __init__(self, settings: connection.Settings):
        if settings.credentials is None:
            self._channel = grpc.insecure_channel(settings.target,
                                                  connection.OPTIONS)
        else:
            self._channel = grpc.secure_channel(
                settings.target, settings.credentials, connection.OPTIONS)
        self._target = settings.target
        self._methods = {method: self._channel.unary_unary(method) for method in
                         (connection.COMPUTE, connection.SERVER_INFO,
                          connection.LIST_LOSSES)}

    def call(self, method: str, request: Callable[[], bytes], timeout: float,
             is_repeatable: bool) -> bytes:
        tries = connection.Tries(self._target, timeout, is_repeatable)
        sent = request()
        while True:
            try:
                return self._methods[method](sent, **tries.arguments(sent))
            except grpc.RpcError as error:
                wait = tries.wait_after(error)
                if tries.may_be_at_work:
                    sent = request()
            except ValueError:
                # Of gRPC, whose channel was closed meanwhile.
                raise Cancelled(f"{self._target}: the client was closed while "
                                "a call was under way") from None
            time.sleep(wait)

    def close(self) -> None:
        self._channel.close()


class Client(LossMethods):
    """A connection to one lossd, made at the first call.

    There is a method for each loss, under its full and its short name:
    `loss, gradient = client.huber(predictions, targets, delta=0.5)`.

    Thread-safe. Can be pickled, but for credentials. Processes may be forked
    from one that has used a client, but must not use one themselves: they get
    a RuntimeError. UNAVAILABLE is tried again until the timeout, so a server may
    restart in the middle of a run; if it comes back with another arithmetic,
    calls raise FailedPrecondition rather than change bits unasked.

    Args:
        target: "host:port" or "unix:PATH". Unset: the environment's
            LOSSD_SERVER, else 127.0.0.1:50051. A proxy in the environment is
            not followed.
        timeout: seconds a call may take, retries included.
        connect_timeout: seconds the first call may wait for a server.
        credentials: as grpc.ssl_channel_credentials returns. Unset: plain
            text.
    """

    def __init__(self, target: str | None = None, *, timeout: float = 60.0,
                 connect_timeout: float = 10.0,
                 credentials: grpc.ChannelCredentials | None = None):
        self._settings = connection.settings(target, timeout, connect_timeout,
                                             credentials)
        self._arenas = Arenas(self._settings)
        self._lock = threading.Lock()
        self._connection = None
        self._server = None

    def __reduce__(self):
        return _client_of, (self._settings,)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def target(self) -> str:
        """The address of the server."""
        return self._settings.target

    def close(self) -> None:
        """Closes the connection. The next call makes another one. Arenas live
        on until they are closed themselves."""
        self._arenas.close()
        with self._lock:
            current, self._connection = self._connection, None
        if current is not None:
            current.close()

    def _connect(self) -> _Connection:
        forks.check_process()
        with self._lock:
            if self._connection is None:
                self._connection = _Connection(self._settings)
            return self._connection

    def _call(self, method: str, request: Callable[[], bytes],
              timeout: float | None, is_repeatable: bool = True) -> bytes:
        if timeout is None:
            timeout = self._settings.timeout
        return self._connect().call(method, request, timeout, is_repeatable)

    def _met_server(self) -> connection.Server:
        if self._server is None:
            info = self._call(connection.SERVER_INFO, bytes,
                              self._settings.connect_timeout)
            self._server = connection.Server(self.target, info)
        return self._server

    def compute(self, loss: str, predictions: ArrayLike,
                targets: ArrayLike | None = None, *, timeout: float | None = None, **keywords: Any) -> Result:
        """Computes one loss and returns all that lossd says of it.

        Args:
            loss, predictions, targets, keywords: as in Call.
            timeout: seconds the call may take. Unset: the client's.

        Raises:
            LossdError: see lossd.errors; TypeError and ValueError as Call.
        """
        outcomes = self.compute_batch(
            [Call(loss, predictions, targets, **keywords)], timeout=timeout)
        if isinstance(outcomes[0], LossdError):
            # Under no name: its traceback leads to this frame, and what is in
            # arenas would stay in that circle for a while.
            raise outcomes.pop()
        return outcomes.pop()

    def compute_batch(self, calls: Iterable[Call], defaults: Call | None = None,
                      *, timeout: float | None = None
                      ) -> list[Result | LossdError]:
        """Computes independent losses in one request.

        Args:
            calls: the losses.
            defaults: what calls leave out is taken from here; arrays that
                calls share are sent once that way.
            timeout: seconds the batch may take. Unset: the client's.

        Returns:
            For each call its Result, or the error why it has none: a bad call
            does not harm its neighbours.

        Raises:
            LossdError: if the whole batch fails.
        """
        batch = Batch(calls, defaults, self._arenas)
        request = functools.partial(batch.request, self._met_server())
        return batch.read(self._call(connection.COMPUTE, request, timeout,
                                     batch.is_repeatable))

    def _loss_and_gradient(self, loss, predictions, targets,
                           **keywords) -> LossAndGradient:
        return self.compute(loss, predictions, targets,
                            **keywords).loss_and_gradient()

    def list_losses(self, *, timeout: float | None = None
                    ) -> list[loss_info_pb2.LossInfo]:
        """Name, guidance, inputs and options of every loss of the server."""
        reply = self._call(connection.LIST_LOSSES, bytes, timeout)
        return list(loss_service_pb2.ListLossesResponse.FromString(reply).losses)

    def server_info(self, *, timeout: float | None = None
                    ) -> loss_service_pb2.GetServerInfoResponse:
        """Version, limits and capabilities of the server."""
        reply = self._call(connection.SERVER_INFO, bytes, timeout)
        return loss_service_pb2.GetServerInfoResponse.FromString(reply)

    def create_arena(self, nbytes: int, *, address: str | None = None,
                     fall_back: bool = False) -> Arena:
        """Memory that lossd reads and writes where it lies, for callers on its
        machine. The calls of this client find out which arrays are in it.

        Args:
            nbytes: its size; rounded up to whole pages. lossd allots them all
                at once, about 0.3 s a GiB.
            address: "unix:PATH" of the server's arena socket, where the path
                here is not the one that the server knows: in another
                container. Unset: what the server says.
            fall_back: where the server offers no arenas or its socket cannot
                be reached, returns an Arena of ordinary memory instead of
                raising; arrays in it are sent as any other.

        Raises:
            Unimplemented: the server offers none to this client.
            Unavailable: nobody answers at its socket.
            ResourceExhausted: more than the server allows.
            LossdError: see lossd.errors.
        """
        if address is None:
            address = self.server_info().arena_address
        return self._arenas.create(nbytes, address, fall_back)


def _client_of(settings: connection.Settings) -> Client:
    """A client with these settings, for pickle."""
    return Client(settings.target, timeout=settings.timeout,
                  connect_timeout=settings.connect_timeout,
                  credentials=settings.credentials)
