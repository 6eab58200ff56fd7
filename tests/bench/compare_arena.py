"""Compares lossd, called through arenas, with PyTorch in the caller's own
process, with the library and with gRPC alone.

    compare_arena.py FOLDER OUT.md [--rounds N] [--only REGEX]

FOLDER holds lossd, wire_echo and compare_arena, which makes the calls from C++;
this program makes those from Python. In a round each of those who are compared
has a turn. Prints one JSON line a comparison, then a table, and leaves the
break-even table in OUT.md if all of it was measured. Exits with 0 whatever the
figures are.
"""

import argparse
import contextlib
import os
import pathlib
import re
import sys
import tempfile

import lossd
import lossd.torch
import torch

import arena_cases
import arena_sizes
import arena_steps
from arena_cpp import FromCpp
from arena_ways import Ways
from report import Report
from turns import machine, take_turns, time_runs, warn_of_load
from wire_cases import MIB
from wire_servers import lossd as start_lossd


class Comparison:
    def __init__(self, programs, folder, only, rounds):
        self.programs = programs
        self.folder = folder
        self.only = re.compile(only)
        self.rounds = rounds
        self.threads = len(os.sched_getaffinity(0))
        self.report = Report()
        # Milliseconds by way, of the cases of the break-even table.
        self.medians = []

    def run(self):
        torch.set_num_threads(self.threads)
        server = start_lossd(
            self.programs / "lossd", [f"unix:{self.folder}/lossd"],
            "--arena_listen", f"unix:{self.folder}/arenas", "--threads",
            self.threads, "--max_message_bytes", 256 * MIB)
        with server, lossd.Client(server.addresses[0]) as client:
            for case in arena_cases.CASES:
                self.against_torch(arena_cases.name_of(case), case, client,
                                   arena_cases.WAY_TARGETS)
            for name in arena_steps.WORK:
                self.training(f"step/{name}", name, client)
            with contextlib.closing(FromCpp(self, server)) as from_cpp:
                from_cpp.run()
            ways = {way: None for way in arena_sizes.COLUMNS if way != "torch"}
            for case in arena_cases.sizes():
                times = self.against_torch(
                    f"sizes/{arena_cases.name_of(case)}", case, client, ways)
                self.medians.append((case, times))

    def wanted(self, *names):
        return any(self.only.search(name) for name in names)

    def against_torch(self, name, case, client, targets):
        """Medians by way; those that are wanted and right."""
        wanted = [way for way in targets if self.wanted(f"{name}/{way}")]
        if not wanted:
            return {}
        ways = Ways(case, client)
        turns = {}
        for way in ("torch", *wanted):
            if fault := ways.disagreement(way):
                # A fast wrong answer is no answer.
                print(f"{name}/{way}: {fault}", file=sys.stderr)
                continue
            turns[way] = lambda run=getattr(ways, way): time_runs(
                lambda: run()[0], arena_cases.runs_of(case))
        times, _ = take_turns(turns, self.rounds)
        self.add(name, times, targets)
        return times

    def training(self, name, work, client):
        targets = {"arena": arena_cases.STEP_TARGETS[work], "grpc": None}
        ways = [way for way in targets if self.wanted(f"{name}/{way}")]
        if not ways:
            return
        trainings = {way: arena_steps.Training(work, lossd.torch.Loss(
            arena_cases.SCCE, client, arena=way == "arena",
            **arena_cases.options_of(arena_cases.SCCE))) for way in ways}
        trainings["torch"] = arena_steps.Training(
            work, torch.nn.CrossEntropyLoss())
        losses = {way: one.first_losses() for way, one in trainings.items()}
        for way in ways:
            if fault := arena_steps.disagreement(losses[way],
                                                 losses["torch"]):
                print(f"{name}/{way}: {fault}", file=sys.stderr)
                del trainings[way]
        steps = trainings["torch"].steps_of_turn()
        times, _ = take_turns(
            {way: lambda one=one: time_runs(one.step, steps)
             for way, one in trainings.items()}, self.rounds)
        self.add(name, times, targets,
                 matmul_gflops=round(arena_steps.matmul_gflops(), 1))

    def add(self, name, times, targets, **more):
        """Comparisons with PyTorch's time."""
        for way, target in targets.items():
            if way in times:
                self.report.add(f"{name}/{way}", times[way], "torch",
                                times["torch"], target, **more)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="cases whose name matches, e.g. '^step/'")
    arguments = parser.parse_args()
    load = warn_of_load()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments.programs, folder, arguments.only,
                                arguments.rounds)
        comparison.run()
    if all(arena_sizes.COLUMNS.keys() <= times.keys()
           for _, times in comparison.medians):
        arguments.out.write_text(
            arena_sizes.table(comparison.medians, machine(load)), "utf-8")
    comparison.report.print_table()


if __name__ == "__main__":
    main()
