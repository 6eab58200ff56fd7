"""Runs scenarios against the programs of a folder; see run.sh.

    faults.py FOLDER [--short] [NAME...]

FOLDER holds lossd and lossctl. Each scenario is a module with a function
run(context), which starts its own servers.
"""

import argparse
import os
import pathlib
import signal
import sys
import time
import traceback
from typing import NamedTuple

import cancel
import connections
import http2
import outages
import overload
import replicas
import soak
import vanished
from lossd_process import Lossd
from report import Report

SCENARIOS = {module.__name__: module for module in (
    overload, cancel, replicas, outages, vanished, http2, connections,
    soak)}
# Longer than any scenario takes.
SECONDS, SHORT_SECONDS = 1800, 240


class Context(NamedTuple):
    programs: pathlib.Path
    is_short: bool
    report: Report

    def start(self, *flags, **more):
        return Lossd(self.programs / "lossd", *flags, **more)

    def pick(self, full, short):
        return short if self.is_short else full


def run(name, context):
    """A scenario that breaks off, or does not end, has failed."""
    def give_up(*_):
        raise TimeoutError(f"{name} did not end")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(context.pick(SECONDS, SHORT_SECONDS))
    start = time.monotonic()
    failure = ""
    try:
        SCENARIOS[name].run(context)
    except Exception as error:
        traceback.print_exc()
        failure = repr(error)
    signal.alarm(0)
    context.report.check(name, "runs to its end", not failure,
                         **({"failure": failure} if failure else {}))
    context.report.figure(name, "duration", time.monotonic() - start, "s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=", ".join(SCENARIOS))
    arguments = parser.parse_intermixed_args()
    for name in arguments.names:
        if name not in SCENARIOS:
            parser.error(f"no scenario {name}: {', '.join(SCENARIOS)}")
    # So that servers end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}",
          file=sys.stderr)
    report = Report()
    context = Context(arguments.programs, arguments.short, report)
    for name in arguments.names or SCENARIOS:
        run(name, context)
    report.print_table()
    cases = os.environ.get("TEST_CASES")
    if cases:
        with open(cases, "a", encoding="utf-8") as file:
            print(report.passed, report.failed, file=file)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
