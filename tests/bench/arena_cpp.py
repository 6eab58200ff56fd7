"""What is compared in C++: compare_arena makes the calls."""

import arena_cases
from turns import JsonProgram, reporting_refusals, take_turns
from wire_cases import MIB
from wire_servers import Server


class Calls(JsonProgram):
    """compare_arena."""

    def turn(self, *words):
        """As take_turns wants it."""
        return None, self.tell("turn", *words)["ms"]


class FromCpp:
    """Comparisons of a lossd, as `comparison` (compare_arena.py) wants them."""

    def __init__(self, comparison, server):
        self.programs = comparison.programs
        self.folder = comparison.folder
        self.wanted = comparison.wanted
        self.rounds = comparison.rounds
        self.report = comparison.report
        self.address = server.addresses[0]
        self.calls = Calls(self.programs / "compare_arena", comparison.threads)

    def close(self):
        self.calls.close()

    def run(self):
        for case in arena_cases.CASES:
            name = f"cpp/{arena_cases.name_of(case)}"
            if self.wanted(name):
                with reporting_refusals(name):
                    self.against_library(name, case)
        name = f"cpp/{arena_cases.SMALL_CASE.rows}"
        if self.wanted(f"{name}/sdk", f"{name}/raw"):
            with reporting_refusals(name):
                self.against_echo(name)
        name = f"callers/{arena_cases.CALLERS}"
        if self.wanted(f"{name}/rate", f"{name}/fairness"):
            with reporting_refusals(name):
                self.callers(name)

    def load(self, name, case):
        """Tensors of that name, in an arena of a client of their own."""
        self.calls.tell("lossd", name, self.address)
        self.calls.tell("load", name, name, case.loss, case.rows, case.columns)

    def against_library(self, name, case):
        self.load(name, case)
        runs = arena_cases.runs_of(case)
        times, _ = take_turns(
            {kind: lambda kind=kind: self.calls.turn(kind, name, runs)
             for kind in ("arena", "library")}, self.rounds)
        self.report.add(name, times["arena"], "library", times["library"],
                        arena_cases.LIBRARY_TARGET)
        self.calls.tell("drop", name)

    def against_echo(self, name):
        with Server(self.programs / "wire_echo", MIB,
                    f"unix:{self.folder}/echo") as echo:
            case, runs = arena_cases.SMALL_CASE, arena_cases.SMALL_CALLS
            sizes = self.calls.tell("small", self.address, echo.addresses[0],
                                    case.rows)
            self.load(name, case)
            times, _ = take_turns(
                {"sdk": lambda: self.calls.turn("arena", name, runs),
                 "raw": lambda: self.calls.turn("raw", runs),
                 "echo": lambda: self.calls.turn("echo", runs)}, self.rounds)
            for kind in ("sdk", "raw"):
                self.report.add(f"{name}/{kind}", times[kind], "echo",
                                times["echo"], arena_cases.ECHO_TARGET,
                                **sizes)
            self.calls.tell("drop", name)

    def callers(self, name):
        names = [f"caller{i}" for i in range(arena_cases.CALLERS)]
        for one in names:
            self.load(one, arena_cases.CALLERS_CASE)
        shares = []

        def share(*sharing):
            answer = self.calls.tell("share", arena_cases.SHARE_SECONDS,
                                     *sharing)
            if len(sharing) > 1:
                shares.append(answer)
            return None, [answer["wall_ms"] / sum(answer["calls"])]

        times, _ = take_turns({"one": lambda: share(names[0]),
                               "all": lambda: share(*names)}, self.rounds)
        self.report.add(f"{name}/rate", times["all"], "one", times["one"],
                        None)
        wall_ms = sum(one["wall_ms"] for one in shares)
        counts = [sum(of_caller) for of_caller in
                  zip(*(one["calls"] for one in shares))]
        self.report.add(f"{name}/fairness", wall_ms / min(counts), "fastest",
                        wall_ms / max(counts), arena_cases.SHARE_TARGET,
                        calls=counts)
        for one in names:
            self.calls.tell("drop", one)
