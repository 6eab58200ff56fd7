"""Processes that fork after they have used a client.

gRPC's threads do not live on in a child, so a child must not use a client.
The parent may go on, and that takes some care: gRPC stops its threads before a
fork, but when one of them happens to be destroying the call that has just
ended, that waits for the end of the fork (gRPC 1.51: grpc_prefork joins the
thread, grpc_client_security_context_destroy makes an ExecCtx), and fork() never
returns. So a fork first waits until gRPC's threads have nothing to do.
"""

from __future__ import annotations

import os
import pathlib
import time

# Those that gRPC stops before a fork, as Linux shortens their names.
_GRPC_THREADS = frozenset((
    "default-executo", "event_engine", "grpc_global_tim", "resolver-execut",
    "timer_manager"))
_TASKS = pathlib.Path("/proc/self/task")
# Seconds: far more than what is left of a call takes on a busy machine. Whatever
# those threads do, a fork comes.
_LONGEST_WAIT = 10.0

# The process whose clients have connected.
_process: int | None = None


def check_process() -> None:
    """Raises RuntimeError in a process forked from one that has connected.

    gRPC's threads do not live on in the child: its first call would wait for
    ever.
    """
    global _process
    process = os.getpid()
    if _process is None:
        _process = process
    elif _process != process:
        raise RuntimeError(
            "lossd: this process was forked from one that had used a client, "
            "and gRPC does not survive that: start it with the method 'spawn' "
            "(data loaders: multiprocessing_context='spawn'), or use no client "
            "before the fork")


def _is_grpc_at_work() -> bool:
    for task in _TASKS.iterdir():
        try:
            stat = (task / "stat").read_text("utf-8", "replace")
        except OSError:
            # It has ended meanwhile.
            continue
        # "NUMBER (NAME) STATE ...", and S is asleep.
        name, state = stat.rsplit(") ", 1)
        if name.split("(", 1)[1] in _GRPC_THREADS and state[0] != "S":
            return True
    return False


def _await_grpc() -> None:
    # Elsewhere than on Linux there is nothing to look at.
    if _process != os.getpid() or not _TASKS.exists():
        return
    deadline = time.monotonic() + _LONGEST_WAIT
    while _is_grpc_at_work() and time.monotonic() < deadline:
        # gRPC's threads need the processor, not Python's lock.
        os.sched_yield()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_await_grpc)
