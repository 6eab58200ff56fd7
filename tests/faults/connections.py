"""Connections: slow, silent, or more than there are descriptors."""

import contextlib
import resource
import time

import grpc

from abuse import SPARE_DESCRIPTORS, abuse, is_healthy
from calls import Caller, item_of, question, request_of
from http2_frames import (
    END_HEADERS, HEADERS, PREFACE, SETTINGS, RawConnection, call_headers,
    connect, frame)
from lossd_process import await_true
from proxy import reset

CASE = "connections"
MOST_CONNECTIONS = 4000
FEW_DESCRIPTORS = 128


def slow_headers(context, server, asked):
    """The preface and what follows, a byte a second."""
    with abuse(context, f"{CASE}/slow_headers", server, asked):
        connections = [connect(server.address) for _ in range(100)]
        slow = PREFACE + frame(SETTINGS, 0, 0) + frame(
            HEADERS, END_HEADERS, 1, call_headers())
        for first in range(context.pick(60, 5)):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(slow[first:first + 1])
            time.sleep(1)
        for connection in connections:
            connection.close()


def many(context, server, asked):
    """Thousands of connections, of which it may close some."""
    case = f"{CASE}/many"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(hard // 2, MOST_CONNECTIONS)
    with abuse(context, case, server, asked, is_new=False):
        resting, before = server.resident_mib(), server.descriptors()
        raw = [RawConnection(server.address) for _ in range(count)]
        # Until it takes no more.
        kept = 0
        while (now := server.descriptors() - before) > kept:
            kept = now
            time.sleep(0.5)
        context.report.figure(case, "connections kept", kept, "", made=count)
        context.report.figure(case, "memory of a connection", 1024 * (
            server.resident_mib() - resting) / max(kept, 1), "KiB")
        for connection in raw:
            connection.socket.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def few_descriptors(context):
    """More connections than it may have descriptors."""
    case = f"{CASE}/few_descriptors"
    report = context.report
    with context.start(descriptors=FEW_DESCRIPTORS) as server:
        asked = question(server, request_of(item_of("huber", 4096)))
        before = server.descriptors()
        with Caller(server.address) as early:
            early.health()
            crowd = [connect(server.address)
                     for _ in range(3 * FEW_DESCRIPTORS)]
            await_true(
                lambda: server.descriptors() >= FEW_DESCRIPTORS - 4, 5)
            used = server.process_seconds()
            time.sleep(1)
            report.figure(case, "processor time while it is full",
                          server.process_seconds() - used, "s/s", most=0.1)
            try:
                code = "OK" if early.ask(
                    asked.request, 10) == asked.answer else "wrong"
            except grpc.RpcError as error:
                code = error.code().name
            report.check(case, "who is connected is served meanwhile",
                         code == "OK", code=code)
            for connection in crowd:
                reset(connection)
        start = time.monotonic()
        healthy, _ = await_true(lambda: is_healthy(server, asked) is True,
                                context.pick(60, 20))
        report.figure(case, "recovery", time.monotonic() - start
                      if healthy else None, "s", most=5)
        report.check(case, "healthy and right afterwards", healthy)
        report.check(case, "descriptors are given back", await_true(
            lambda: server.descriptors() <= before + SPARE_DESCRIPTORS)[0],
            before=before, after=server.descriptors())
        report.check(case, "ends with 0", server.stop() == 0)


def silent_at_metrics(context, server):
    """Connections to the metrics port that say nothing."""
    for count in (4, 20):
        silent = [connect(server.metrics_address) for _ in range(count)]
        time.sleep(0.1)
        start = time.perf_counter()
        try:
            text = server.get("/healthz", 30)
        except OSError as error:
            text = repr(error)
        context.report.figure(
            f"{CASE}/silent_at_metrics", f"/healthz beside {count}",
            (time.perf_counter() - start) * 1e3, "ms", most=1000)
        context.report.check(f"{CASE}/silent_at_metrics", "/healthz answers",
                             text == "serving\n", text=text)
        for connection in silent:
            connection.close()


def run(context):
    with context.start() as server:
        asked = question(server, request_of(item_of("huber", 1024)))
        slow_headers(context, server, asked)
        many(context, server, asked)
        silent_at_metrics(context, server)
        context.report.check(CASE, "ends with 0", server.stop() == 0)
    few_descriptors(context)
