"""Clients that abuse HTTP/2."""

import contextlib
import os
import struct
import time

import grpc

from abuse import abuse
from calls import (
    COMPUTE, HEALTH, Caller, item_of, question, request_of)
from h2load import H2load
from http2_frames import (
    CANCEL, CONTINUATION, END_HEADERS, HEADERS, PING, PREFACE, RST_STREAM,
    SETTINGS, RawConnection, call_headers, connect, frame, literal)
from lossd_process import SERVED, await_true

CASE = "http2"


def many_streams(context, server, asked):
    case = f"{CASE}/h2load"
    with abuse(context, case, server, asked):
        before = server.metrics()[SERVED]
        count = context.pick(200_000, 10_000)
        with H2load(server.address, asked.request, "-n", count, "-c", 50,
                    "-m", 100) as load:
            succeeded, rate = load.result()
        context.report.check(case, "all streams are answered",
                             succeeded == count, succeeded=succeeded)
        # To h2load a refusal is an answer, too. Calls are counted a moment
        # after they are answered.
        served, _ = await_true(
            lambda: server.metrics()[SERVED] - before == count, 10)
        context.report.check(case, "all streams are computed", served,
                             served=server.metrics()[SERVED] - before)
        context.report.figure(case, "streams", rate, "calls/s")


def garbage(context, server, asked):
    with abuse(context, f"{CASE}/garbage", server, asked):
        for number in range(context.pick(20_000, 2000)):
            start = (b"", PREFACE, PREFACE + frame(SETTINGS, 0, 0),
                     b"GET / HTTP/1.1\r\n\r\n")[number % 4]
            with connect(server.address) as connection:
                # It may close before all is written.
                with contextlib.suppress(OSError):
                    connection.sendall(start + os.urandom(2000))
                    connection.shutdown(1)


def half_headers(context, server, asked):
    """Connections with a call whose headers do not end."""
    with abuse(context, f"{CASE}/half_headers", server, asked):
        raw = [RawConnection(server.address) for _ in range(100)]
        for connection in raw:
            connection.send(frame(HEADERS, 0, 1, call_headers()[:20]))
        time.sleep(context.pick(10, 2))
        for connection in raw:
            connection.socket.close()


def rapid_resets(context, server, asked):
    """Streams that are opened and reset at once, by who comes back when he is
    thrown out."""
    for name, path in (("compute", COMPUTE), ("health", HEALTH)):
        case = f"{CASE}/rapid_resets/{name}"
        headers, start = call_headers(path=path), time.monotonic()
        wanted, sent, connections = context.pick(1_000_000, 200_000), 0, 0
        server.forget_peak()
        resting = server.resident_mib()
        with abuse(context, case, server, asked):
            while sent < wanted:
                connections += 1
                with contextlib.suppress(OSError), RawConnection(
                        server.address) as raw:
                    sent += reset_streams(raw, headers, wanted - sent)
        context.report.figure(case, "resets", sent / (time.monotonic() - start),
                              "streams/s", connections=connections)
        context.report.figure(case, "memory", server.peak_mib() - resting,
                              "MiB", most=256)


def reset_streams(raw, headers, wanted):
    """Opens streams and resets them until the connection is closed; their
    number."""
    stream = 1
    with contextlib.suppress(OSError):
        while stream < 2 * wanted and raw.drain():
            burst = bytearray()
            for _ in range(100):
                burst += frame(HEADERS, END_HEADERS, stream, headers)
                burst += frame(RST_STREAM, 0, stream, CANCEL)
                stream += 2
            raw.send(burst)
    return stream // 2


def control_frames(context, server, asked):
    """Frames that want an answer, as many as the connection survives."""
    for name, wanted in (
            ("pings", frame(PING, 0, 0, b"12345678")),
            ("settings", frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100)))):
        case = f"{CASE}/{name}"
        with abuse(context, case, server, asked), RawConnection(
                server.address) as raw:
            count, start = 0, time.monotonic()
            with contextlib.suppress(OSError):
                for _ in range(context.pick(20_000, 2000)):
                    raw.send(wanted * 100)
                    count += 100
                    if not raw.drain():
                        break
            context.report.figure(case, "frames", count, "", seconds=round(
                time.monotonic() - start, 1))


def huge_headers(context, server, asked):
    case = f"{CASE}/huge_headers"
    with abuse(context, case, server, asked):
        server.forget_peak()
        resting = server.resident_mib()
        with Caller(server.address) as caller:
            try:
                caller.compute(asked.request, timeout=20, metadata=(
                    ("x-large", "a" * 100_000),))
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
        context.report.check(case, "headers above the limit are refused",
                             code == "RESOURCE_EXHAUSTED", code=code)
        more = literal("x-large", "a" * 16000)
        for _ in range(context.pick(40, 4)):
            with RawConnection(server.address) as raw, contextlib.suppress(
                    OSError):
                raw.send(frame(HEADERS, 0, 1, call_headers()))
                # 32 MiB, and no end of them.
                for _ in range(2000):
                    raw.send(frame(CONTINUATION, 0, 1, more))
                raw.drain()
        context.report.figure(case, "memory of headers without an end",
                              server.peak_mib() - resting, "MiB", most=64)


def run(context):
    with context.start() as server:
        asked = question(server, request_of(item_of("huber", 1024)))
        for attack in (many_streams, garbage, half_headers, rapid_resets,
                       control_frames, huge_headers):
            attack(context, server, asked)
        context.report.check(CASE, "ends with 0", server.stop() == 0)
