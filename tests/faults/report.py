"""JSON lines of what was seen, as it is seen, and a table when all is done."""

import json
import statistics
import sys


class Report:
    """Assertions decide about the exit code, figures about nothing."""

    def __init__(self):
        self.figures = []
        self.passed = self.failed = 0

    def figure(self, case, figure, value, unit, most=None, least=None, **more):
        """A number, which may have a target: `most` or `least`."""
        target, met = None, None
        # Nothing that could be measured does not meet a target.
        if most is not None:
            target, met = f"<= {most:g}", value is not None and value <= most
        if least is not None:
            target, met = f">= {least:g}", value is not None and value >= least
        line = {"case": case, "figure": figure,
                "value": None if value is None else round(value, 3),
                "unit": unit, "target": target, "met": met, **more}
        self.figures.append(line)
        print(json.dumps(line), flush=True)

    def check(self, case, what, holds, **seen):
        """An assertion; `seen` says what it was decided by."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {case}: {what} {seen}", file=sys.stderr, flush=True)
        print(json.dumps({"case": case, "assertion": what,
                          "passed": bool(holds), **seen}), flush=True)

    def print_table(self):
        rows = [("case", "figure", "value", "target", "")]
        for line in self.figures:
            value = ("none" if line["value"] is None
                     else f"{line['value']:g} {line['unit']}".rstrip())
            verdict = {None: "", True: "met", False: "NOT MET"}[line["met"]]
            rows.append((line["case"], line["figure"], value,
                         line["target"] or "", verdict))
        widths = [max(map(len, column)) for column in zip(*rows)]
        print()
        for row in rows:
            print("  ".join(cell.ljust(width)
                            for cell, width in zip(row, widths)).rstrip())
        judged = [line["met"] for line in self.figures
                  if line["met"] is not None]
        print(f"{sum(judged)} of {len(judged)} figures met their target")
        print(f"assertions: {self.passed} passed, {self.failed} failed")


def quantile(numbers, per_cent):
    """None where there are too few numbers to speak of one."""
    if len(numbers) < 2:
        return None
    return statistics.quantiles(numbers, n=100,
                                method="inclusive")[per_cent - 1]
