"""Callers that ask again and again, and what is expected of them."""

import collections
import threading
import time

import grpc

from calls import Caller

# Seconds, for those who ask a server that fails.
TIMEOUT = 1.5
# A call that ends so much later than its deadline hangs; less may be a busy
# machine.
HANGS = 10
# What gRPC says of connections that end, and of deadlines.
EXPECTED = frozenset({"OK", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


class Load:
    """Callers that ask one question again and again, each over a connection of
    its own, until they are told to stop."""

    def __init__(self, asked, targets, timeout, pause=0.0, options=()):
        self.codes = collections.Counter()
        self.wrong = 0
        # Seconds that the slowest call took beyond its timeout.
        self.overshoot = 0.0
        # When each caller's first call that began after await_right and was
        # answered rightly came back.
        self._first_right = {}
        self._since = float("inf")
        self._asked, self._timeout, self._pause = asked, timeout, pause
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(
            target=self._call, args=(number, target, options), daemon=True)
            for number, target in enumerate(targets)]
        for thread in self._threads:
            thread.start()

    def _call(self, number, target, options):
        code = "OK"
        with Caller(target, options) as caller:
            while not self._stopping.is_set():
                start = time.monotonic()
                try:
                    # gRPC for Python looks only every five seconds after a
                    # connection that is being made, if no call waits for it.
                    answer = caller.ask(self._asked.request, self._timeout,
                                        wait_for_ready=code != "OK")
                    code = "OK"
                except grpc.RpcError as error:
                    code = error.code().name
                end = time.monotonic()
                with self._lock:
                    self.codes[code] += 1
                    self.overshoot = max(self.overshoot,
                                         end - start - self._timeout)
                    if code == "OK":
                        self.wrong += answer != self._asked.answer
                        if start >= self._since:
                            self._first_right.setdefault(number, end)
                # A connection that is refused would be tried without a pause.
                self._stopping.wait(self._pause if code == "OK" else 0.02)

    def await_right(self, seconds=30):
        """Seconds until every caller had an answer to a call that began after
        now, None if that takes longer."""
        with self._lock:
            self._first_right.clear()
            self._since = start = time.monotonic()
        while time.monotonic() - start < seconds:
            if len(self._first_right) == len(self._threads):
                return max(self._first_right.values()) - start
            time.sleep(0.005)
        return None

    def stop(self, seconds=30):
        """Whether all callers have come back."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)


def check_load(report, case, load, expected=EXPECTED):
    back = load.stop(TIMEOUT + HANGS)
    codes = dict(load.codes)
    report.check(case, "no call hangs", back and load.overshoot < HANGS)
    report.check(case, "codes are expected", set(codes) <= expected
                 and "OK" in codes, codes=codes)
    report.check(case, "bits are right", load.wrong == 0, wrong=load.wrong)
    report.figure(case, "latest end after a deadline",
                  max(load.overshoot, 0) * 1e3, "ms")
