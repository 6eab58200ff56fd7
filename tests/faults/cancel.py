"""Calls that nobody waits for any more: cancelled, or past their deadline."""

import threading
import time

import grpc

from calls import COMPUTE, Caller, item_of, question, request_of
from lossd_process import await_true, is_idle
from report import quantile

CASE = "cancel"
MIB = 1 << 20
BUSY = "lossd_compute_busy_seconds_total"
RECEIVED = 'lossd_rpc_received_bytes_total{method="Compute"}'
# Computes for seconds: many losses of one pair of tensors.
ITEMS = 4000
DEADLINE = 0.3


def long_request(loss):
    tensors = item_of(loss, 1 << 18, gradient=False)
    return request_of(*[{}] * ITEMS, defaults=tensors)


def ok_items(metrics, loss):
    return metrics.get(f'lossd_items_total{{code="OK",loss="{loss}"}}', 0)


def cancel_one(server, caller, request):
    """Milliseconds from cancelling a call at work until the metrics say that
    nothing of it is left, and whether they said so and it was cancelled."""
    before = server.metrics()[BUSY]
    call = caller.compute.future(request, timeout=60)
    working, _ = await_true(lambda: server.metrics()[BUSY] > before, pause=0)
    start = time.perf_counter()
    call.cancel()
    while True:
        # A page shows what was true after it was asked for.
        asked = time.perf_counter()
        idle = is_idle(server.metrics())
        if idle or asked - start > 30:
            break
    return (asked - start) * 1e3, working and idle and call.cancelled()


def cancel_calls(context, server, caller, request):
    report = context.report
    times, right = [], 0
    count = context.pick(100, 20)
    for _ in range(count):
        milliseconds, stopped = cancel_one(server, caller, request)
        times.append(milliseconds)
        right += stopped
    report.check(CASE, "cancelled calls leave nothing behind", right == count,
                 stopped=right, calls=count)
    for name, per_cent in (("p50", 50), ("p99", 99)):
        report.figure(CASE, f"from cancel to idle {name}",
                      quantile(times, per_cent), "ms", most=5, calls=count)
    busy = server.metrics()[BUSY]
    time.sleep(0.2)
    report.check(CASE, "nothing is computed after a cancel",
                 server.metrics()[BUSY] == busy)


def code_of(caller, request, timeout):
    start = time.monotonic()
    try:
        caller.ask(request, timeout)
        code = "OK"
    except grpc.RpcError as error:
        code = error.code().name
    return code, time.monotonic() - start - timeout


def expire_at_work(context, server, caller):
    """More than can be computed, each with a deadline."""
    report = context.report
    loss = "mean_absolute_error"
    # In time, so it counts.
    caller.ask(request_of(item_of(loss, 4096)), 60)
    request = long_request(loss)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        code_of(caller, request, DEADLINE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    codes = [code for code, _ in answers]
    report.check(CASE, "calls past their deadline are told so",
                 codes == ["DEADLINE_EXCEEDED"] * len(threads), codes=codes)
    report.figure(CASE, "latest answer after a deadline",
                  max(late for _, late in answers) * 1e3, "ms", most=5)
    report.check(CASE, "deadlines at work leave nothing behind",
                 await_true(lambda: is_idle(server.metrics()))[0])
    items = ok_items(server.metrics(), loss)
    report.check(CASE, "only the item that was in time counts as computed",
                 items == 1, items=items)


def expire_waiting(context, server, caller):
    """A call whose body does not come holds the budget, others wait for it."""
    report = context.report
    held = threading.Event()
    holding = caller.channel.stream_unary(COMPUTE).future(
        (b"" for _ in iter(held.wait, True)), timeout=60,
        metadata=(("lossd-bytes", f"{15 * MIB},0"),))
    taken, _ = await_true(
        lambda: server.metrics()["lossd_memory_reserved_bytes"] >= 15 * MIB)
    before = server.metrics()
    request = request_of(item_of("huber", 1 << 18))
    answers = [code_of(caller, request, 0.05) for _ in range(10)]
    codes = [code for code, _ in answers]
    after = server.metrics()
    holding.cancel()
    held.set()
    report.check(CASE, "deadlines that pass in the line are told so",
                 taken and codes == ["DEADLINE_EXCEEDED"] * 10, codes=codes)
    report.check(CASE, "what expires in the line is neither read nor computed",
                 after[RECEIVED] == before[RECEIVED]
                 and after[BUSY] == before[BUSY]
                 and ok_items(after, "huber") == 0)
    report.check(CASE, "the line is empty afterwards",
                 await_true(lambda: is_idle(server.metrics()))[0])


def run(context):
    with context.start("--memory_budget", 128 * MIB, "--max_message_bytes",
                       64 * MIB) as server, Caller(server.address) as caller:
        asked = question(server, request_of(item_of("huber", 4096)))
        cancel_calls(context, server, caller, long_request("log_cosh"))
        expire_at_work(context, server, caller)
        with context.start("--memory_budget", 16 * MIB, "--max_message_bytes",
                           16 * MIB) as small, Caller(small.address) as other:
            expire_waiting(context, small, other)
            context.report.check(CASE, "small server ends with 0",
                                 small.stop() == 0)
        context.report.check(CASE, "bits are right afterwards",
                             caller.ask(asked.request, 30) == asked.answer)
        context.report.check(CASE, "ends with 0", server.stop() == 0)
