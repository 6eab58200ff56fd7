#!/usr/bin/env python3
"""Counts test cases: prints "PASSED FAILED".

    count_cases.py FOLDER

FOLDER holds ctest.junit, with one entry a program, and the XML of each program
of GoogleTest or pytest. A program that failed without a failed case of its own
(it crashed, ran out of time, or leaked) counts as one failed case, a program
without XML as one case. Skipped cases are neither.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def count_program(folder, entry):
    failed = entry.get("status") != "run"
    report = folder / (entry.get("name") + ".xml")
    if not report.exists():
        return (0, 1) if failed else (1, 0)
    suites = ElementTree.parse(report).getroot()

    def total(*kinds):
        return sum(int(suite.get(kind, "0")) for suite in suites
                   for kind in kinds)

    cases_failed = total("failures", "errors")
    passed = total("tests") - cases_failed - total("disabled", "skipped")
    return passed, max(cases_failed, int(failed))


def main():
    folder = pathlib.Path(sys.argv[1])
    entries = ElementTree.parse(folder / "ctest.junit").getroot()
    counts = [count_program(folder, entry) for entry in entries]
    print(sum(passed for passed, _ in counts),
          sum(failed for _, failed in counts))


if __name__ == "__main__":
    main()
