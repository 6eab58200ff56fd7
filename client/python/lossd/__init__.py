"""lossd: losses and their gradients, computed by a server.

    import lossd

    client = lossd.Client("localhost:50051")
    loss, gradient = client.huber(predictions, targets, delta=0.5)

lossd.torch and lossd.keras.losses bring them into training scripts.
"""

from lossd.aio import AsyncClient
from lossd.arena import Arena
from lossd.calls import Call
from lossd.client import Client
from lossd.errors import (
    Cancelled, DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument,
    LossdError, NotFound, ResourceExhausted, Unavailable, Unimplemented,
    Violation)
from lossd.results import LossAndGradient, Result

__all__ = [
    "Arena", "AsyncClient", "Call", "Cancelled", "Client", "DeadlineExceeded",
    "FailedPrecondition", "Internal", "InvalidArgument", "LossAndGradient",
    "LossdError", "NotFound", "ResourceExhausted", "Result", "Unavailable",
    "Unimplemented", "Violation",
]
