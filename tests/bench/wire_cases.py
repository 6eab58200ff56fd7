"""What is compared over the wire, with which targets. All of it is
mean_squared_error of float32, loss and gradient."""

import dataclasses

KIB, MIB = 2**10, 2**20
SOCKETS = ("tcp", "unix")
# More than loss, outputs, shapes, lengths and numerics_version of a request of
# one large item take.
OVERHEAD = 64
# Elements of an item of a batch.
BATCHED = 256

# One caller may wait this much longer for a small request than for an echo,
# and 16 callers get this share of the echo's rate.
SMALL_TARGET = 1 / 1.15
RATE_TARGET = 0.85
LARGE_TARGET = 0.9
BATCH_TARGET = 0.7
PYTHON_TARGET = 10
STREAM_TARGET = 0.9

FAIRNESS_LARGE = 256 * MIB
SMALL_P99_MS = 15
HEALTH_P99_MS = 10

MEMORY_CALLERS = 64
MEMORY_BYTES = 64 * MIB
MEMORY_BUDGET = 512 * MIB
MEMORY_TARGET = 1.25


@dataclasses.dataclass(frozen=True)
class Case:
    name: str  # without the last part, which is one of `kinds`
    socket: str
    elements: int  # of each item
    items: int = 1
    callers: int = 1
    # How lossd is called.
    kinds: tuple = ("sdk", "raw")
    peer: str = "echo"
    # Least ratio peer / ours; None: only reported.
    target: float = None
    # Of all items, as the request's name has it; None: not a point of a plot.
    message: int = None


def elements_of(message):
    """Of one item whose request has about this size, and not more."""
    return max((message - OVERHEAD) // 8, 8)


def size_name(size):
    for power, unit in ((20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size >> power}{unit}"
    return f"{size}B"


def messages(socket):
    targets = {100: None, KIB: SMALL_TARGET, 64 * KIB: None,
               MIB: LARGE_TARGET, 4 * MIB: LARGE_TARGET,
               16 * MIB: LARGE_TARGET, 64 * MIB: LARGE_TARGET,
               256 * MIB: None}
    for size, target in targets.items():
        yield Case(f"message/{size_name(size)}/{socket}", socket,
                   elements_of(size), target=target, message=size)


def callers(socket):
    # One caller is message/1KiB.
    for count, target in {4: None, 16: RATE_TARGET, 64: None}.items():
        yield Case(f"callers/{count}x1KiB/{socket}", socket, elements_of(KIB),
                   callers=count, target=target)


def batches(socket):
    targets = {1: None, 10: None, 100: None, 1000: BATCH_TARGET, 10000: None}
    for items, target in targets.items():
        yield Case(f"batch/{items}x{BATCHED}/{socket}", socket, BATCHED,
                   items=items, target=target)


def streams(socket):
    yield Case(f"stream/256MiB/{socket}", socket, elements_of(256 * MIB),
               kinds=("stream",), peer="echo_stream", target=STREAM_TARGET)


def unary_cases():
    for socket in SOCKETS:
        yield from messages(socket)
        yield from callers(socket)
        yield from batches(socket)


def stream_cases():
    for socket in SOCKETS:
        yield from streams(socket)


PYTHON_CASE = Case(f"python/{4 * MIB}x1/tcp", "tcp", 4 * MIB, peer="python",
                   target=PYTHON_TARGET)
