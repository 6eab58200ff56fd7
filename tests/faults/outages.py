"""Servers that die or stop, networks that fail."""

import signal
import threading
import time

import lossd
import numpy as np

from calls import Caller, item_of, question, request_of
from load import TIMEOUT, Load, check_load
from lossd_process import await_true, is_idle
from proxy import Proxy

CASE = "outages"
MIB = 1 << 20
CALLERS = 6


def sdk_bits(client):
    """What a call of the Python client returns."""
    numbers = np.linspace(-2, 2, 4096, dtype=np.float32)
    loss, gradient = client.huber(numbers, np.zeros_like(numbers))
    return np.float64(loss).tobytes() + gradient.tobytes()


class SdkCall:
    """A call that is made while nobody can answer."""

    def __init__(self, client):
        self._bits, self._end = None, None
        self._thread = threading.Thread(target=self._call, args=(client,),
                                        daemon=True)
        self._thread.start()

    def _call(self, client):
        self._bits = sdk_bits(client)
        self._end = time.monotonic()

    def judge(self, report, case, right, since):
        self._thread.join(60)
        report.figure(case, "recovery of the SDK", self._end
                      and self._end - since, "s", most=5)
        report.check(case, "the SDK has the right bits", self._bits == right)


def kill(context, asked, flags):
    case = f"{CASE}/kill"
    server = context.start(*flags)
    replaced = None
    load = Load(asked, [server.address] * CALLERS, TIMEOUT, pause=0.005)
    try:
        with lossd.Client(server.address) as client:
            right = sdk_bits(client)
            time.sleep(context.pick(3, 1))
            server.kill()
            call = SdkCall(client)
            time.sleep(context.pick(3, 1))
            replaced = context.start(*flags, listen=server.address)
            since = time.monotonic()
            recovery = load.await_right()
            call.judge(context.report, case, right, since)
        context.report.figure(case, "recovery of all callers", recovery, "s",
                              most=5)
        check_load(context.report, case, load)
    finally:
        load.stop(0)
        server.kill()
        if replaced:
            replaced.kill()


def stop_and_continue(context, asked, server):
    case = f"{CASE}/sigstop"
    load = Load(asked, [server.address] * CALLERS, TIMEOUT, pause=0.005)
    with lossd.Client(server.address) as client:
        right = sdk_bits(client)
        time.sleep(1)
        server.signal(signal.SIGSTOP)
        call = SdkCall(client)
        # Longer than the timeout.
        time.sleep(context.pick(10, 2))
        server.signal(signal.SIGCONT)
        since = time.monotonic()
        recovery = load.await_right()
        call.judge(context.report, case, right, since)
    context.report.figure(case, "recovery of all callers", recovery, "s",
                          most=5)
    context.report.check(case, "calls past their deadline are told so",
                         load.codes["DEADLINE_EXCEEDED"] > 0)
    check_load(context.report, case, load)


def through_proxy(context, server, asked):
    report = context.report
    with Proxy(server.address) as proxy:
        for mode in Proxy.MODES:
            case = f"{CASE}/proxy/{mode}"
            proxy.set("pass")
            load = Load(asked, [proxy.address] * CALLERS, TIMEOUT, pause=0.005)
            load.await_right()
            proxy.set(mode)
            time.sleep(context.pick(15, 3))
            faults = proxy.faults
            proxy.restore()
            report.figure(case, "recovery of all callers", load.await_right(),
                          "s", most=5)
            report.check(case, "there were faults", faults > 0, faults=faults)
            check_load(report, case, load)
    report.check(CASE, "faults leave nothing behind",
                 await_true(lambda: is_idle(server.metrics()))[0])


def run(context):
    flags = ("--memory_budget", 256 * MIB, "--max_message_bytes", 16 * MIB)
    with context.start(*flags) as server:
        before = server.descriptors()
        asked = question(server, request_of(item_of("huber", 1 << 15)))
        kill(context, asked, flags)
        stop_and_continue(context, asked, server)
        through_proxy(context, server, asked)
        context.report.check(
            CASE, "descriptors are given back", await_true(
                lambda: server.descriptors() <= before + 2)[0],
            before=before, after=server.descriptors())
        with Caller(server.address) as caller:
            context.report.check(CASE, "bits are right afterwards", caller.ask(
                asked.request, 30, wait_for_ready=True) == asked.answer)
        context.report.check(CASE, "ends with 0", server.stop() == 0)
