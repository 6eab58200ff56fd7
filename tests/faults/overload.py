"""An open loop at three times what lossd can do."""

import json
import statistics
import subprocess
import time

import grpc

from calls import Caller, item_of, question, request_of
from h2load import H2load
from lossd_process import SERVED, await_true, is_idle
from report import quantile

CASE = "overload"
MIB = 1 << 20
# Elements, whose requests have 8 bytes and replies 4 for each, and budgets into
# which some thirty calls fit.
SIZES = ((1 << 16, 24 * MIB), (1 << 19, 192 * MIB))
CLOSED_CALLERS = (4, 8)
# So many calls are open while those that are refused wait for memory.
OPEN_CALLERS = 512
CONNECTIONS = 16
TIMES_CAPACITY = 3


class Bench:
    """A `lossctl bench` that runs beside us."""

    def __init__(self, context, server, elements, callers, seconds, *flags):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL",
             str(context.programs / "lossctl"), "--server", server.address,
             "--timeout", "30", "--format", "json", "bench", "--check",
             "--elements", str(elements), "--callers", str(callers),
             "--connections", str(min(callers, 8)), "--duration", str(seconds),
             *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self):
        out, error = self.process.communicate(timeout=300)
        if not out:
            raise RuntimeError(error)
        return json.loads(out)

    def end(self):
        self.process.kill()
        self.process.wait()


def ask_beside(process, caller, request, refused, codes):
    """Asks while the process runs. Adds milliseconds of the calls that were
    refused, and codes of all."""
    while process.poll() is None:
        start = time.perf_counter()
        try:
            caller.ask(request, 10)
            codes.add("OK")
        except grpc.RpcError as error:
            codes.add(error.code().name)
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                refused.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.01)


def latency_ms(caller, request):
    start = time.perf_counter()
    try:
        caller.ask(request, 10)
    except grpc.RpcError:
        return float("inf")
    return (time.perf_counter() - start) * 1e3


def served_during(server, work):
    """Calls of Compute that are served while `work` goes on, and its seconds."""
    before, start = server.metrics()[SERVED], time.monotonic()
    work()
    return server.metrics()[SERVED] - before, time.monotonic() - start


def goodput(context, case, server, caller, request):
    """What is served at three times what can be; that number."""
    report = context.report
    peak = 0
    for callers in CLOSED_CALLERS:
        with H2load(server.address, request, "-D", context.pick(10, 2), "-c",
                    callers, "-m", 1) as load:
            served, seconds = served_during(server, load.result)
            peak = max(peak, served / seconds)
    normal = statistics.median(latency_ms(caller, request) for _ in range(50))
    # Resting is what has served before.
    resting = server.resident_mib()
    server.forget_peak()
    rate = TIMES_CAPACITY * peak
    with H2load(server.address, request, "-D", context.pick(60, 6), "-c",
                CONNECTIONS, "-m", OPEN_CALLERS // CONNECTIONS, "--rps",
                rate / CONNECTIONS) as load:
        refused, codes = [], set()
        served, seconds = served_during(server, lambda: ask_beside(
            load.process, caller, request, refused, codes))
        answered, _ = load.result()
    # Twice the usual is usual.
    recovered, recovery = await_true(
        lambda: latency_ms(caller, request) <= 2 * normal + 1, pause=0)

    report.figure(case, "peak of closed loops", peak, "calls/s")
    report.figure(case, "goodput of that peak", served / seconds / peak, "",
                  least=0.9, served=served, answered=answered)
    for name, per_cent in (("p50", 50), ("p99", 99)):
        report.figure(case, f"time to a refusal {name}",
                      quantile(refused, per_cent), "ms", most=5,
                      refusals=len(refused))
    report.figure(case, "peak memory", server.peak_mib(), "MiB",
                  most=server.metrics()["lossd_memory_budget_bytes"] / MIB
                  + resting, resting=round(resting, 1))
    report.figure(case, "recovery", recovery if recovered else None, "s",
                  most=2, normal_ms=round(normal, 2))
    report.check(case, "load is answered or refused", answered > served > 0
                 and codes <= {"OK", "UNAVAILABLE"}, codes=sorted(codes))
    return rate


def overload(context, elements, budget):
    report = context.report
    case = f"{CASE}/{elements * 8 >> 10}KiB"
    request = request_of(item_of("mean_squared_error", elements))
    with context.start("--memory_budget", budget, "--max_message_bytes",
                       budget // 6) as server, Caller(server.address) as caller:
        asked = question(server, request)
        rate = goodput(context, case, server, caller, request)
        # What looks at every bit costs the CPU more than the server does.
        bench = Bench(context, server, elements, OPEN_CALLERS,
                      context.pick(10, 4), "--rate", str(rate))
        try:
            result = bench.result()
        finally:
            bench.end()
        report.check(case, "calls are answered or UNAVAILABLE",
                     set(result["errors"]) == {"UNAVAILABLE"}
                     and not result["item_errors"], errors=result["errors"])
        report.check(case, "some are refused, some not",
                     result["calls"] > result["failed"] > 0,
                     calls=result["calls"], failed=result["failed"])
        report.check(case, "bits are right", result["differing"] == 0
                     and caller.ask(request, 30) == asked.answer,
                     differing=result["differing"])
        report.check(case, "memory is given back",
                     await_true(lambda: is_idle(server.metrics()))[0])
        report.check(case, "ends with 0", server.stop() == 0)


def run(context):
    for elements, budget in SIZES:
        overload(context, elements, budget)
