"""Requests, their right answers, and connections to ask over."""

from typing import NamedTuple

import grpc
import numpy as np
from lossd.v1 import loss_service_pb2, tensor_pb2

COMPUTE = "/lossd.v1.LossService/Compute"
STREAM = "/lossd.v1.LossService/ComputeStream"
HEALTH = "/grpc.health.v1.Health/Check"
# A serialised HealthCheckResponse that says SERVING.
SERVING = b"\x08\x01"

OPTIONS = [("grpc.max_receive_message_length", -1),
           ("grpc.max_send_message_length", -1),
           ("grpc.enable_http_proxy", 0),
           ("grpc.enable_retries", 0),
           # Else channels to one address share a connection.
           ("grpc.use_local_subchannel_pool", 1),
           ("grpc.initial_reconnect_backoff_ms", 100),
           ("grpc.max_reconnect_backoff_ms", 500)]


def tensor(numbers):
    dtype = {"float32": tensor_pb2.DTYPE_FLOAT32,
             "int64": tensor_pb2.DTYPE_INT64}[numbers.dtype.name]
    return tensor_pb2.Tensor(dtype=dtype, shape=numbers.shape,
                             data=numbers.tobytes())


def item_of(loss, elements, seed=1, gradient=True):
    """A loss of random numbers, [elements / 8, 8]."""
    draw = np.random.default_rng(seed)
    item = loss_service_pb2.LossItem()
    getattr(item.loss, loss).SetInParent()
    for field in (item.predictions, item.targets):
        field.CopyFrom(tensor(draw.normal(size=(elements // 8, 8))
                              .astype(np.float32)))
    item.outputs.gradient = gradient
    return item


def request_of(*items, **fields):
    return loss_service_pb2.ComputeRequest(
        items=items, **fields).SerializeToString()


class Caller:
    """A connection of its own, and calls of bytes."""

    def __init__(self, target, options=()):
        self.channel = grpc.insecure_channel(target, [*OPTIONS, *options])
        self.compute = self.channel.unary_unary(COMPUTE)
        self._health = self.channel.unary_unary(HEALTH)

    def ask(self, request, timeout, **more):
        return self.compute(request, timeout=timeout,
                            metadata=announce(request), **more)

    def health(self, timeout=10):
        return self._health(b"", timeout=timeout, wait_for_ready=True)

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def announce(request):
    return (("lossd-bytes", f"{len(request)},{len(request)}"),)


class Question(NamedTuple):
    """A request, and the bytes of its answer over a healthy connection."""

    request: bytes
    answer: bytes


def question(server, request):
    with Caller(server.address) as caller:
        return Question(request, caller.ask(request, 60, wait_for_ready=True))
