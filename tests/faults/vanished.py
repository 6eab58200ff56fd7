"""Clients that vanish or fall silent in the middle of a call."""

import struct

from calls import item_of, question, request_of
from http2_frames import RawConnection
from load import TIMEOUT, Load, check_load
from lossd_process import await_true, is_idle
from proxy import reset

CASE = "vanished"
MIB = 1 << 20
CALLERS = 6
SILENT = 20
# The beginning of a message of a MiB.
PART = struct.pack(">BI", 0, MIB) + b"\0" * 9000
ANSWERED = 'lossd_items_total{code="OK",loss="log_cosh"}'
RESERVED = "lossd_memory_reserved_bytes"


def reset_in_the_body(context, server):
    """Some of a body, then RST."""
    case = f"{CASE}/reset_in_the_body"
    count = context.pick(500, 100)
    for _ in range(count):
        connection = RawConnection(server.address)
        connection.begin_call(1, MIB, PART)
        connection.drain()
        reset(connection.socket)
    came, seconds = await_true(lambda: is_idle(server.metrics()))
    context.report.check(case, "memory is given back", came, connections=count)
    context.report.figure(case, "until memory is given back", seconds, "s",
                          most=5)


def half_open(context, server, asked):
    """Clients that fall silent in mid-body, and others beside them."""
    case = f"{CASE}/half_open"
    report = context.report
    silent = [RawConnection(server.address) for _ in range(SILENT)]
    for connection in silent:
        connection.begin_call(1, MIB, PART)
    taken, _ = await_true(
        lambda: server.metrics()[RESERVED] >= len(silent) * MIB)
    load = Load(asked, [server.address] * CALLERS, TIMEOUT, pause=0.005)
    report.check(case, "they hold the memory that they announced", taken)
    report.figure(case, "others have answers", load.await_right(), "s", most=5)
    check_load(report, case, load, frozenset({"OK"}))
    # The server asks after 20 s of silence and waits as long for an answer.
    if not context.is_short:
        given, seconds = await_true(lambda: is_idle(server.metrics()), 120, 0.5)
        report.figure(case, "until silent clients lose their memory",
                      seconds if given else None, "s", most=60)
    for connection in silent:
        connection.socket.close()
    report.check(case, "memory is given back",
                 await_true(lambda: is_idle(server.metrics()))[0])


def unread_replies(context, server, asked):
    """Clients that ask and do not read."""
    case = f"{CASE}/unread_replies"
    # SETTINGS_INITIAL_WINDOW_SIZE: 16 bytes of a reply may be sent.
    window = struct.pack(">HI", 4, 16)
    raw = [RawConnection(server.address, window) for _ in range(SILENT)]
    request = request_of(item_of("log_cosh", 4096))
    for connection in raw:
        connection.call(1, request)
    computed, _ = await_true(
        lambda: server.metrics().get(ANSWERED, 0) == SILENT)
    load = Load(asked, [server.address] * CALLERS, TIMEOUT, pause=0.005)
    context.report.figure(case, "others have answers", load.await_right(), "s",
                          most=5)
    check_load(context.report, case, load, frozenset({"OK"}))
    context.report.check(case, "they are answered", computed)
    context.report.figure(case, "memory of replies that nobody reads",
                          server.metrics()[RESERVED] / MIB, "MiB")
    for connection in raw:
        connection.socket.close()
    context.report.check(case, "memory is given back",
                         await_true(lambda: is_idle(server.metrics()))[0])


def run(context):
    with context.start("--memory_budget", 256 * MIB, "--max_message_bytes",
                       16 * MIB) as server:
        asked = question(server, request_of(item_of("huber", 1 << 15)))
        before = server.descriptors()
        reset_in_the_body(context, server)
        half_open(context, server, asked)
        unread_replies(context, server, asked)
        context.report.check(
            CASE, "descriptors are given back", await_true(
                lambda: server.descriptors() <= before + 2)[0],
            before=before, after=server.descriptors())
        context.report.check(CASE, "ends with 0", server.stop() == 0)
