"""Programs that time what they are told to, and turns that alternate."""

import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys
import time

# OpenMP's threads spin for some milliseconds after a turn.
PAUSE_SECONDS = 0.02


class Program:
    """A program asked a line at a time, which ends with its stdin."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"{' '.join(map(str, words))}: no answer")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Refused(Exception):
    pass


class JsonProgram(Program):
    """One that answers with JSON, {"refused": WHY} for what failed."""

    def tell(self, *words):
        answer = json.loads(self.ask(*words))
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer


@contextlib.contextmanager
def reporting_refusals(name):
    """What is refused is named and left out."""
    try:
        yield
    except Refused as refused:
        print(f"{name}: {refused}", file=sys.stderr)


def time_runs(run, count):
    """What take_turns wants: one run that nobody times, since another had the
    caches before, then `count`. `run` returns a loss."""
    loss, times = run(), []
    for _ in range(count):
        start = time.perf_counter()
        loss = run()
        times.append((time.perf_counter() - start) * 1e3)
    return loss, times


def take_turns(turns, rounds):
    """Medians of milliseconds, and losses, by name; `turns` are functions by
    name, which return a loss and the milliseconds of each run."""
    times = {name: [] for name in turns}
    losses = {}
    for _ in range(rounds):
        for name, turn in turns.items():
            time.sleep(PAUSE_SECONDS)
            losses[name], of_turn = turn()
            times[name] += of_turn
    return {name: statistics.median(t) for name, t in times.items()}, losses


def warn_of_load():
    """The load, which other programs on the machine make."""
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"other programs are running (load {load:.1f}): expect noise",
              file=sys.stderr)
    return load


def machine(load):
    """What figures that are kept say of where they come from."""
    return (f"{len(os.sched_getaffinity(0))} CPUs, load {load:.1f}, "
            f"{datetime.date.today()}")
