"""An open loop at three times what lossd can do."""

import json
import statistics
import subprocess
import time

import grpc

from calls import Caller, item_of, question, request_of
from lossd_process import await_true, is_idle
from report import quantile

CASE = "overload"
MIB = 1 << 20
# Elements, whose requests have 8 bytes and replies 4 for each, and budgets into
# which some thirty calls fit.
SIZES = ((1 << 16, 24 * MIB), (1 << 19, 192 * MIB))
CLOSED_CALLERS = (4, 8)
# So many calls are open while those that are refused wait for memory.
OPEN_CALLERS = 512
TIMES_CAPACITY = 3
# gRPC's own limit of memory ends calls like this, without details: a figure
# until it does not.
KNOWN = {"RESOURCE_EXHAUSTED"}


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


def ask_beside(bench, caller, request):
    """Asks while the bench runs; milliseconds of the calls that were refused,
    and codes of all."""
    refused, codes = [], set()
    while bench.process.poll() is None:
        start = time.perf_counter()
        try:
            caller.ask(request, 10)
            codes.add("OK")
        except grpc.RpcError as error:
            codes.add(error.code().name)
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                refused.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.01)
    return refused, codes


def latency_ms(caller, request):
    start = time.perf_counter()
    try:
        caller.ask(request, 10)
    except grpc.RpcError:
        return float("inf")
    return (time.perf_counter() - start) * 1e3


def overload(context, elements, budget):
    report = context.report
    case = f"{CASE}/{elements * 8 >> 10}KiB"
    request = request_of(item_of("mean_squared_error", elements))
    with context.start("--memory_budget", budget, "--max_message_bytes",
                       budget // 6) as server, Caller(server.address) as caller:
        asked = question(server, request)
        # Resting is what has served before.
        seconds = context.pick(10, 2)
        peak = max(Bench(context, server, elements, callers, seconds).result()
                   ["calls_per_second"] for callers in CLOSED_CALLERS)
        normal = statistics.median(latency_ms(caller, request)
                                   for _ in range(50))
        resting = server.resident_mib()
        server.forget_peak()
        bench = Bench(context, server, elements, OPEN_CALLERS,
                      context.pick(60, 6), "--rate", str(TIMES_CAPACITY * peak))
        try:
            refused, codes = ask_beside(bench, caller, request)
            result = bench.result()
        finally:
            bench.end()
        # Twice the usual is usual.
        recovered, seconds = await_true(
            lambda: latency_ms(caller, request) <= 2 * normal + 1, pause=0)

        report.figure(case, "peak of closed loops", peak, "calls/s")
        report.figure(case, "goodput of that peak",
                      result["calls_per_second"] / peak, "", least=0.9,
                      calls=result["calls"], missed=result["missed"],
                      errors=result["errors"])
        report.figure(case, "latency p99 of what was accepted",
                      result["latency_ms"].get("p99"), "ms")
        for name, per_cent in (("p50", 50), ("p99", 99)):
            report.figure(case, f"time to a refusal {name}",
                          quantile(refused, per_cent), "ms", most=5,
                          refusals=len(refused))
        report.figure(case, "peak memory", server.peak_mib(), "MiB",
                      most=budget / MIB + resting, resting=round(resting, 1))
        report.figure(case, "recovery", seconds if recovered else None, "s",
                      most=2, normal_ms=round(normal, 2))
        codes |= set(result["errors"])
        report.figure(case, "calls refused without a reason",
                      sum(result["errors"].get(code, 0) for code in KNOWN), "",
                      most=0)
        report.check(case, "calls are answered or UNAVAILABLE", codes - KNOWN
                     <= {"OK", "UNAVAILABLE"} and not result["item_errors"],
                     codes=sorted(codes))
        report.check(case, "some are refused, some not",
                     result["errors"].get("UNAVAILABLE", 0) > 0
                     and result["calls"] > result["failed"],
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
