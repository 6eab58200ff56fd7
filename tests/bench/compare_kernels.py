#!/usr/bin/python3
"""Compares the library with the memory's bandwidth, PyTorch and a fused loop.

    compare_kernels.py PROGRAM [--threads N] [--rounds N] [--only REGEX]

PROGRAM is compare_kernels, which times everything but PyTorch. In a round each
of those who are compared has a turn of three runs; reported are the medians of
all runs, so that a machine that slows down slows all of them. Prints one JSON
line a comparison, then a table. Exits with 0 whatever the figures are.
"""

import argparse
import os
import re
import sys
import tempfile

from report import Report
from turns import Program, take_turns, time_runs, warn_of_load
from workloads import CASES, MEAN_TARGETS, PAIRS, TORCH_LOSSES, Sampler

try:
    import torch
except ImportError:
    torch = None
    print("python3-torch is not installed: nothing is compared with it",
          file=sys.stderr)

TRIAD_BYTES = 12 * 2**24  # of compare_kernels' triad
RUNS_OF_TURN = 3  # as compare_kernels'
# Float sums of 16 M terms, as the peers have them, agree to this.
TOLERANCE = 2e-3


class Kernels(Program):
    """compare_kernels."""

    def turn(self, *words):
        """The loss, and the milliseconds of each run."""
        loss, *times = map(float, self.ask(*words).split())
        return loss, times


def torch_turn(case, predictions, targets):
    """As compare_kernels' turns."""
    loss_of = TORCH_LOSSES[case.workload]

    def run():
        # A gradient that is kept would be added to, which takes longer.
        predictions.grad = None
        loss = loss_of(predictions, targets)
        loss.backward()
        return loss.item()

    return time_runs(run, RUNS_OF_TURN)


class Comparison:
    def __init__(self, program, threads, rounds, folder):
        self.program = program
        self.rounds = rounds
        self.sampler = Sampler(folder)
        self.report = Report(MEAN_TARGETS)
        if torch:
            torch.set_num_threads(threads)

    def load(self, case):
        """Files of the case's tensors and what they hold; None if the library
        refuses the case."""
        tensors = self.sampler.sample(case)
        answer = self.program.ask(
            "load", case.name, case.loss, str(case.rows), str(case.columns),
            case.dtype.upper(), *tensors.paths)
        if answer == "ok":
            return tensors
        print(f"{case.name}: {answer}", file=sys.stderr)
        self.program.ask("drop", case.name)
        return None

    def against_peers(self, case):
        tensors = self.load(case)
        if tensors is None:
            return
        turns = {"ours": lambda: self.program.turn("ours", case.name)}
        if "triad" in case.targets:
            turns["triad"] = lambda: self.program.turn("triad")
        if torch and "torch" in case.targets:
            predictions = torch.from_numpy(tensors.predictions)
            predictions.requires_grad_()
            targets = torch.from_numpy(tensors.targets)
            turns["torch"] = lambda: torch_turn(case, predictions, targets)
        if "fused_omp" in case.targets:
            turns["fused_omp"] = lambda: self.program.turn("fused_omp",
                                                           case.name)
        times, losses = take_turns(turns, self.rounds)
        for peer in turns:
            if peer == "ours":
                continue
            if peer == "triad":
                times[peer] *= tensors.bytes_moved / TRIAD_BYTES
            elif abs(losses[peer] - losses["ours"]) > TOLERANCE * abs(
                    losses["ours"]):
                # A fast wrong answer is no answer.
                print(f"{case.name}: ours is {losses['ours']}, {peer}'s "
                      f"{losses[peer]}", file=sys.stderr)
            self.report.add(case.name, times["ours"], peer, times[peer],
                            case.targets[peer])
        self.program.ask("drop", case.name)

    def against_ourselves(self, case, peer, target):
        if self.load(case) is None or self.load(peer) is None:
            return
        turns = {c.name: lambda c=c: self.program.turn("ours", c.name)
                 for c in (case, peer)}
        times, _ = take_turns(turns, self.rounds)
        self.report.add(case.name, times[case.name], "ours",
                        times[peer.name], target, peer.name)
        self.program.ask("drop", case.name)
        self.program.ask("drop", peer.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--threads", type=int,
                        default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="cases whose name matches, e.g. '^huber'")
    arguments = parser.parse_args()
    only = re.compile(arguments.only)
    warn_of_load()
    program = Kernels(arguments.program, arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(program, arguments.threads, arguments.rounds,
                                folder)
        for case in CASES:
            if only.search(case.name):
                comparison.against_peers(case)
        for case, peer, target in PAIRS:
            if only.search(case.name):
                comparison.against_ourselves(case, peer, target)
    program.close()
    comparison.report.print_table()


if __name__ == "__main__":
    main()
