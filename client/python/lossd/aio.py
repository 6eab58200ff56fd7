"""The client of lossd for asyncio."""

from __future__ import annotations

import asyncio
import functools
from typing import Any, Callable, Iterable

import grpc

from lossd import connection, forks
from lossd._methods import AsyncLossMethods
from lossd.arena import Arena, Arenas
from lossd.arrays import ArrayLike
from lossd.calls import Batch, Call
from lossd.errors import LossdError
from lossd.results import LossAndGradient, Result
from lossd.v1 import loss_info_pb2, loss_service_pb2


class AsyncClient(AsyncLossMethods):
    """As Client, with coroutines for methods: see there.

    It belongs to the event loop of its first call, and to one process.
    """

    def __init__(self, target: str | None = None, *, timeout: float = 60.0,
                 connect_timeout: float = 10.0,
                 credentials: grpc.ChannelCredentials | None = None):
        self._settings = connection.settings(target, timeout, connect_timeout,
                                             credentials)
        self._arenas = Arenas(self._settings)
        self._channel = None
        self._server = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    @property
    def target(self) -> str:
        """The address of the server."""
        return self._settings.target

    async def close(self) -> None:
        """Closes the connection. The next call makes another one. Arenas live
        on until they are closed themselves."""
        self._arenas.close()
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _connect(self) -> grpc.aio.Channel:
        forks.check_process()
        if self._channel is None:
            if self._settings.credentials is None:
                self._channel = grpc.aio.insecure_channel(self.target,
                                                          connection.OPTIONS)
            else:
                self._channel = grpc.aio.secure_channel(
                    self.target, self._settings.credentials, connection.OPTIONS)
        return self._channel

    async def _call(self, method: str, request: Callable[[], bytes],
                    timeout: float | None,
                    is_repeatable: bool = True) -> bytes:
        if timeout is None:
            timeout = self._settings.timeout
        tries = connection.Tries(self.target, timeout, is_repeatable)
        call = self._connect().unary_unary(method)
        sent = request()
        while True:
            try:
                return await call(sent, **tries.arguments(sent))
            except grpc.RpcError as error:
                wait = tries.wait_after(error)
                if tries.may_be_at_work:
                    sent = request()
            await asyncio.sleep(wait)

    async def _met_server(self) -> connection.Server:
        if self._server is None:
            info = await self._call(connection.SERVER_INFO, bytes,
                                    self._settings.connect_timeout)
            self._server = connection.Server(self.target, info)
        return self._server

    async def compute(self, loss: str, predictions: ArrayLike,
                      targets: ArrayLike | None = None, *,
                      timeout: float | None = None, **keywords: Any) -> Result:
        """As Client.compute."""
        outcomes = await self.compute_batch(
            [Call(loss, predictions, targets, **keywords)], timeout=timeout)
        if isinstance(outcomes[0], LossdError):
            # Under no name: its traceback leads to this frame, and what is in
            # arenas would stay in that circle for a while.
            raise outcomes.pop()
        return outcomes.pop()

    async def compute_batch(self, calls: Iterable[Call],
                            defaults: Call | None = None, *,
                            timeout: float | None = None
                            ) -> list[Result | LossdError]:
        """As Client.compute_batch."""
        batch = Batch(calls, defaults, self._arenas)
        request = functools.partial(batch.request, await self._met_server())
        return batch.read(await self._call(connection.COMPUTE, request, timeout,
                                           batch.is_repeatable))

    async def _loss_and_gradient(self, loss, predictions, targets,
                                 **keywords) -> LossAndGradient:
        result = await self.compute(loss, predictions, targets, **keywords)
        return result.loss_and_gradient()

    async def list_losses(self, *, timeout: float | None = None
                          ) -> list[loss_info_pb2.LossInfo]:
        """As Client.list_losses."""
        reply = await self._call(connection.LIST_LOSSES, bytes, timeout)
        return list(loss_service_pb2.ListLossesResponse.FromString(reply).losses)

    async def server_info(self, *, timeout: float | None = None
                          ) -> loss_service_pb2.GetServerInfoResponse:
        """As Client.server_info."""
        reply = await self._call(connection.SERVER_INFO, bytes, timeout)
        return loss_service_pb2.GetServerInfoResponse.FromString(reply)

    async def create_arena(self, nbytes: int, *, address: str | None = None,
                           fall_back: bool = False) -> Arena:
        """As Client.create_arena."""
        if address is None:
            address = (await self.server_info()).arena_address
        return await asyncio.to_thread(self._arenas.create, nbytes, address,
                                       fall_back)
