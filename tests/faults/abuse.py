"""What holds for every abuse: lossd is healthy meanwhile and afterwards."""

import contextlib
import threading
import time

import grpc

from calls import SERVING, Caller
from lossd_process import await_true

# gRPC makes some when it is first needed.
SPARE_DESCRIPTORS = 4


class Watch:
    """Asks for health again and again, each time over a new connection, or all
    times over one that was there before."""

    def __init__(self, server, is_new):
        self.times, self.failures = [], []
        self._server = server
        self._caller = None if is_new else Caller(server.address)
        if self._caller:
            self._caller.health()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()

    def _repeat(self):
        while not self._stopping.is_set():
            start = time.perf_counter()
            try:
                answer = self._ask()
                if answer != SERVING:
                    self.failures.append(f"answer {answer}")
            except grpc.RpcError as error:
                self.failures.append(error.code().name)
            self.times.append((time.perf_counter() - start) * 1e3)
            self._stopping.wait(0.02)

    def _ask(self):
        if self._caller:
            return self._caller.health(20)
        with Caller(self._server.address) as caller:
            return caller.health(20)

    def stop(self):
        self._stopping.set()
        self._thread.join(30)
        if self._caller:
            self._caller.close()


def is_healthy(server, asked):
    """Alive, serving, and right, over a new connection."""
    try:
        with Caller(server.address) as caller:
            return (caller.health(20) == SERVING and server.is_alive()
                    and caller.ask(asked.request, 20) == asked.answer)
    except grpc.RpcError as error:
        return error.code().name


@contextlib.contextmanager
def abuse(context, case, server, asked, is_new=True):
    """What happens around an abuse, and after it."""
    report = context.report
    before = server.descriptors()
    watch = Watch(server, is_new)
    try:
        yield
    finally:
        watch.stop()
    which = "a new connection" if is_new else "an old connection"
    report.figure(case, f"slowest health over {which} meanwhile",
                  max(watch.times), "ms", most=1000, calls=len(watch.times))
    report.check(case, "health is answered meanwhile", not watch.failures,
                 failures=watch.failures[:3])
    healthy = is_healthy(server, asked)
    report.check(case, "healthy and right afterwards", healthy is True,
                 seen=healthy)
    given, _ = await_true(
        lambda: server.descriptors() <= before + SPARE_DESCRIPTORS)
    report.check(case, "descriptors are given back", given, before=before,
                 after=server.descriptors())
