"""One of two replicas is told to end while calls come."""

import collections
import json
import threading
import time

import lossd
import numpy as np

from calls import Caller, item_of, question, request_of
from load import Load
from lossd_process import await_true

CASE = "replicas"
STARTED = 'lossd_rpc_started_total{method="Compute"}'
# What gRPC ends calls with that come while it shuts down, and does not try
# again where UNAVAILABLE is: a figure until it does not.
KNOWN = {"CANCELLED"}
# gRPC's own: calls go to all replicas in turn, and again where one refuses.
ROUND_ROBIN = [
    ("grpc.enable_retries", 1),
    ("grpc.service_config", json.dumps({
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": [{}], "retryPolicy": {
            "maxAttempts": 5, "initialBackoff": "0.05s", "maxBackoff": "1s",
            "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}],
    }))]


class SdkLoad:
    """Callers of the Python client, each with a client of its own, that ask
    for one loss again and again."""

    def __init__(self, targets, elements):
        draw = np.random.default_rng(1)
        self._predictions, self._targets = draw.normal(
            size=(2, elements)).astype(np.float32)
        with lossd.Client(targets[0]) as client:
            self._right = self._bits(client)
        self.calls = self.wrong = 0
        self.failures = collections.Counter()
        self.slowest = 0.0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(target,),
                                          daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def _bits(self, client):
        loss, gradient = client.huber(self._predictions, self._targets)
        return np.float64(loss).tobytes() + gradient.tobytes()

    def _call(self, target):
        with lossd.Client(target, timeout=20) as client:
            while not self._stopping.is_set():
                start, failure, right = time.monotonic(), None, True
                try:
                    right = self._bits(client) == self._right
                except lossd.LossdError as error:
                    failure = f"{error.code.name}: {error}"
                with self._lock:
                    self.calls += 1
                    self.wrong += not right
                    if failure:
                        self.failures[failure] += 1
                    self.slowest = max(self.slowest, time.monotonic() - start)
                self._stopping.wait(0.005)

    def stop(self, seconds=30):
        """Whether all callers have come back."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)


def roll(context, servers, flags):
    """Ends and replaces each replica while the others serve; whether all ended
    with 0."""
    codes = []
    for number in range(len(servers)):
        time.sleep(context.pick(5, 0.5))
        address = servers[number].address
        codes.append(servers[number].stop())
        time.sleep(context.pick(2, 0.5))
        servers[number] = context.start(*flags, listen=address)
    time.sleep(context.pick(5, 0.5))
    return codes == [0] * len(servers)


def served_by(server):
    return server.metrics().get(STARTED, 0)


def with_sdk(context, servers, drain_delay):
    report = context.report
    case = f"{CASE}/sdk/drain_delay_{drain_delay:g}s"
    ports = [server.address for server in servers]
    both = [f"ipv4:{','.join(order)}" for order in (ports, ports[::-1])]
    # Larger than what gRPC would keep for a retry of its own.
    for elements in (4096, 1 << 18):
        name = f"{case}/{elements * 4 >> 10}KiB"
        load = SdkLoad(both * 2, elements)
        ended = roll(context, servers, ("--drain_delay", drain_delay))
        back = load.stop()
        report.check(name, "no call fails", back and not load.failures
                     and load.calls > 0, calls=load.calls,
                     failures=dict(load.failures.most_common(3)))
        report.check(name, "bits are right", load.wrong == 0, wrong=load.wrong)
        report.check(name, "replicas end with 0", ended)
        report.figure(name, "slowest call", load.slowest, "s", most=5,
                      calls=load.calls)


def with_round_robin(context, servers, drain_delay):
    report = context.report
    case = f"{CASE}/round_robin/drain_delay_{drain_delay:g}s"
    both = "ipv4:" + ",".join(server.address for server in servers)
    asked = question(servers[0], request_of(item_of("huber", 4096)))
    with Caller(both, ROUND_ROBIN) as caller:
        # Both are connected before counts are compared.
        reached, _ = await_true(lambda: caller.ask(asked.request, 10) and min(
            map(served_by, servers)) > 1)
    load = Load(asked, [both] * 4, 20, pause=0.005, options=ROUND_ROBIN)
    ended = roll(context, servers, ("--drain_delay", drain_delay))
    back = load.stop()
    report.check(case, "both replicas serve", reached
                 and min(map(served_by, servers)) > 0)
    report.check(case, "calls are answered or end with the server",
                 back and set(load.codes) - KNOWN == {"OK"},
                 codes=dict(load.codes))
    report.figure(case, "calls that fail", sum(
        load.codes[code] for code in KNOWN), "", most=0)
    report.check(case, "bits are right", load.wrong == 0, wrong=load.wrong)
    report.check(case, "replicas end with 0", ended)


def run(context):
    for drain_delay in (0, context.pick(2, 0.3)):
        servers = [context.start("--drain_delay", drain_delay)
                   for _ in range(2)]
        try:
            with_sdk(context, servers, drain_delay)
            with_round_robin(context, servers, drain_delay)
        finally:
            for server in servers:
                server.kill()
