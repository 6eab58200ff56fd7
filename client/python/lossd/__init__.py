"""lossd: losses and their gradients, computed by a server.

    import lossd

    client = lossd.Client("localhost:50051")
    loss, gradient = client.huber(predictions, targets, delta=0.5)

lossd.torch and lossd.keras.losses bring them into training scripts.
"""

import os

# Before gRPC is imported: with it, data loaders may fork while a client is in
# use. Without it the child of a fork hangs in its first call.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")

from lossd.aio import AsyncClient  # noqa: E402
from lossd.calls import Call  # noqa: E402
from lossd.client import Client  # noqa: E402
from lossd.errors import (  # noqa: E402
    Cancelled, DeadlineExceeded, FailedPrecondition, Internal, InvalidArgument,
    LossdError, ResourceExhausted, Unavailable, Unimplemented, Violation)
from lossd.results import LossAndGradient, Result  # noqa: E402

__all__ = [
    "AsyncClient", "Call", "Cancelled", "Client", "DeadlineExceeded",
    "FailedPrecondition", "Internal", "InvalidArgument", "LossAndGradient",
    "LossdError", "ResourceExhausted", "Result", "Unavailable",
    "Unimplemented", "Violation",
]
