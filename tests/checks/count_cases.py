#!/usr/bin/env python3
"""Counts test cases: prints "PASSED FAILED".

    count_cases.py FOLDER
    count_cases.py --report XML

XML is that of one program of pytest. FOLDER holds ctest.junit, with one entry a program, and the XML of each program
of GoogleTest or pytest. A program that failed without a failed case of its own
(it crashed, ran out of time, or leaked) counts as one failed case, a program
without XML as one case. Skipped cases are neither.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def count_report(report, failed):
    if not report.exists():
        return (0, 1) if failed else (1, 0)
    suites = ElementTree.parse(report).getroot()

    def total(*kinds):
        return sum(int(suite.get(kind, "0")) for suite in suites
                   for kind in kinds)

    cases_failed = total("failures", "errors")
    passed = total("tests") - cases_failed - total("disabled", "skipped")
    return passed, max(cases_failed, int(failed))


def count_program(folder, entry):
    return count_report(folder / (entry.get("name") + ".xml"),
                        entry.get("status") != "run")


def main():
    if sys.argv[1] == "--report":
        report = pathlib.Path(sys.argv[2])
        print(*count_report(report, not report.exists()))
        return
    folder = pathlib.Path(sys.argv[1])
    entries = ElementTree.parse(folder / "ctest.junit").getroot()
    counts = [count_program(folder, entry) for entry in entries]
    print(sum(passed for passed, _ in counts),
          sum(failed for _, failed in counts))


if __name__ == "__main__":
    main()
