#!/usr/bin/python3
"""Compares lossd, called through gRPC, with what gRPC alone can do.

    compare_wire.py FOLDER OUT.json [--rounds N] [--only REGEX]

FOLDER holds lossd, wire_echo and compare_wire, which makes all calls. In a
round each of those who are compared has a turn. Prints one JSON line a
comparison, then a table, and leaves the lines in OUT.json for plot_wire.py.
Exits with 0 whatever the figures are.
"""

import argparse
import importlib.util
import json
import pathlib
import re
import statistics
import sys
import tempfile

import wire_cases
from report import Report
from turns import (
    JsonProgram, machine, reporting_refusals, take_turns, warn_of_load)
from wire_cases import MIB
from wire_servers import Server, flags_of, lossd

# A turn makes calls for about so many bytes, within these bounds.
TURN_BYTES = 96 * MIB
FEWEST_CALLS, MOST_CALLS = 2, 400
# Many callers share so many times the calls of one.
MOST_SHARES = 4
FLOOD_CALLS = 2


class Calls(JsonProgram):
    """compare_wire."""

    def turn(self, kind, name, case, calls):
        """As take_turns wants it: one caller tells how long each call took,
        several how many they get done."""
        answer = self.tell("turn", kind, name, case.name, case.callers, calls)
        if case.callers == 1:
            return None, answer["ms"]
        return None, [answer["wall_ms"] / len(answer["ms"])]


class Comparison:
    def __init__(self, programs, folder, only, rounds):
        self.lossd_program = programs / "lossd"
        self.echo_program = programs / "wire_echo"
        self.folder = folder
        self.only = re.compile(only)
        self.rounds = rounds
        self.report = Report()
        self.calls = Calls(programs / "compare_wire")
        self.streams = False

    def listen(self, name):
        return ["127.0.0.1:0", f"unix:{self.folder}/{name}"]

    def start_lossd(self, name, *flags):
        # The default, which other flags may change: 256 MiB are a case.
        return lossd(self.lossd_program, self.listen(name),
                     "--max_message_bytes", 256 * MIB, *flags)

    def wanted(self, *names):
        return any(self.only.search(name) for name in names)

    def run(self):
        with self.start_lossd("lossd") as server:
            for socket, address in zip(wire_cases.SOCKETS, server.addresses):
                answer = self.calls.tell("lossd", f"lossd/{socket}", address)
                self.streams = answer["streams"]
            self.against_echo()
            self.against_python()
            self.fairness(server)
        self.memory()
        self.calls.close()

    def against_echo(self):
        # More than any reply has: gradients are half of their requests.
        with Server(self.echo_program, 256 * MIB,
                    *self.listen("echo")) as echo:
            for socket, address in zip(wire_cases.SOCKETS, echo.addresses):
                self.calls.tell("open", f"echo/{socket}", address)
            for case in wire_cases.unary_cases():
                self.compare(case, f"echo/{case.socket}")
            for case in wire_cases.stream_cases():
                if not self.wanted_kinds(case):
                    continue
                # ComputeStream: once the server says that it has it, this runs.
                if self.streams:
                    self.compare(case, f"echo/{case.socket}")
                else:
                    print(f"{case.name}: lossd has no streams, left out",
                          file=sys.stderr)

    def against_python(self):
        case = wire_cases.PYTHON_CASE
        if not self.wanted_kinds(case):
            return
        if not all(map(importlib.util.find_spec, ("torch", "grpc"))):
            print(f"{case.name}: python3-torch or python3-grpcio is not "
                  "installed, left out", file=sys.stderr)
            return
        service = pathlib.Path(__file__).with_name("python_service.py")
        with Server(sys.executable, service, "127.0.0.1:0") as python:
            self.calls.tell("open", "python/tcp", python.addresses[0])
            self.compare(case, "python/tcp")

    def wanted_kinds(self, case):
        return [kind for kind in case.kinds
                if self.wanted(f"{case.name}/{kind}")]

    def load(self, name, items, elements):
        """Bytes of request and reply."""
        return self.calls.tell("load", name, "lossd/tcp", items, elements)

    def compare(self, case, peer):
        kinds = self.wanted_kinds(case)
        if not kinds:
            return
        with reporting_refusals(case.name):
            sizes = self.load(case.name, case.items, case.elements)
            calls = TURN_BYTES // sum(sizes.values())
            calls = min(max(calls, FEWEST_CALLS), MOST_CALLS)
            calls = calls * min(case.callers, MOST_SHARES) // case.callers
            turns = {kind: lambda kind=kind: self.calls.turn(
                kind, f"lossd/{case.socket}", case, calls) for kind in kinds}
            turns["peer"] = lambda: self.calls.turn(case.peer, peer, case,
                                                    calls)
            times, _ = take_turns(turns, self.rounds)
            for kind in kinds:
                self.report.add(
                    f"{case.name}/{kind}", times[kind], case.peer,
                    times["peer"], case.target, items=case.items,
                    message=case.message, **sizes)
        self.calls.tell("drop", case.name)

    def limit(self, name, ours, most, **more):
        """A bound of ours, as a comparison with it."""
        self.report.add(name, ours, "limit", most, 1, **more)

    def fairness(self, server):
        small_name, health_name = (
            f"fairness/256MiB/tcp/{what}_p99" for what in ("1KiB", "health"))
        if not self.wanted(small_name, health_name):
            return
        with reporting_refusals("fairness"):
            self.load("large", 1,
                      wire_cases.elements_of(wire_cases.FAIRNESS_LARGE))
            self.load("small", 1, wire_cases.elements_of(wire_cases.KIB))
            answer = self.calls.tell("fairness", server.addresses[0], "large",
                                     "small", self.rounds)
            for name, key, most in (
                    (small_name, "small_ms", wire_cases.SMALL_P99_MS),
                    (health_name, "health_ms", wire_cases.HEALTH_P99_MS)):
                self.limit(name, statistics.quantiles(answer[key], n=100)[98],
                           most, calls=len(answer[key]),
                           large_calls=answer["large_calls"])
        self.calls.tell("drop", "large")
        self.calls.tell("drop", "small")

    def memory(self):
        name = f"memory/{wire_cases.MEMORY_CALLERS}x64MiB/tcp/peak"
        if not self.wanted(name):
            return
        if "--memory_budget" not in flags_of(self.lossd_program):
            print(f"{name}: lossd has no --memory_budget, left out",
                  file=sys.stderr)
            return
        with reporting_refusals(name), self.start_lossd(
                "budget", "--memory_budget",
                wire_cases.MEMORY_BUDGET) as server:
            self.calls.tell("lossd", "lossd/budget", server.addresses[0])
            self.calls.tell("load", "budget", "lossd/budget", 1,
                            wire_cases.elements_of(wire_cases.MEMORY_BYTES))
            outcomes = self.calls.tell(
                "flood", server.addresses[0], "budget",
                wire_cases.MEMORY_CALLERS, FLOOD_CALLS)
            if outcomes["other"]:
                print(f"{name}: {outcomes['message']}", file=sys.stderr)
            del outcomes["message"]
            self.limit(name, server.peak_mib(), wire_cases.MEMORY_TARGET
                       * wire_cases.MEMORY_BUDGET / MIB, unit="mib",
                       **outcomes)
        self.calls.tell("drop", "budget")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="cases whose name matches, e.g. '^message/1MiB'")
    arguments = parser.parse_args()
    load = warn_of_load()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments.programs, folder, arguments.only,
                                arguments.rounds)
        comparison.run()
    arguments.out.write_text(json.dumps(
        {"machine": machine(load), "lines": comparison.report.lines}), "utf-8")
    comparison.report.print_table()


if __name__ == "__main__":
    main()
