#!/usr/bin/python3
"""Draws what a byte and an item cost over the wire, from what compare_wire.py
left.

    plot_wire.py WIRE.json FOLDER    writes messages.svg, batches.svg
"""

import collections
import json
import pathlib
import sys

from plot import draw

COLORS = {
    "lossd, SDK, tcp": "#d62728",
    "lossd, bytes, tcp": "#ff7f0e",
    "echo, tcp": "#7f7f7f",
    "lossd, SDK, unix": "#1f77b4",
    "lossd, bytes, unix": "#17becf",
    "echo, unix": "#000000",
}
KINDS = {"sdk": "lossd, SDK", "raw": "lossd, bytes"}


def series(lines, group, x, y):
    """Points by what was called, of the lines whose case is of the group."""
    points = collections.defaultdict(dict)
    for line in lines:
        case, *_, socket, kind = line["case"].split("/")
        if case == group:
            for name, ms in ((KINDS[kind], line["ours_ms"]),
                             ("echo", line["peer_ms"])):
                points[f"{name}, {socket}"][x(line)] = y(line, ms)
    return {name: sorted(values.items()) for name, values in points.items()}


def main():
    document = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    machine, lines = document["machine"], document["lines"]
    plots = {
        "messages": (
            f"mean_squared_error with gradient, one caller ({machine})",
            "bytes of the request", "nanoseconds a byte, both ways",
            series(lines, "message", lambda line: line["message"],
                   lambda line, ms: ms * 1e6 / (line["request_bytes"]
                                                + line["reply_bytes"]))),
        "batches": (
            f"Items of 256 elements in one Compute ({machine})",
            "items", "microseconds an item",
            series(lines, "batch", lambda line: line["items"],
                   lambda line, ms: ms * 1e3 / line["items"])),
    }
    for name, plot in plots.items():
        if not plot[-1]:
            print(f"{name}: not measured, not drawn", file=sys.stderr)
            continue
        (folder / f"{name}.svg").write_text(draw(*plot, COLORS), "utf-8")
        print(folder / f"{name}.svg")


if __name__ == "__main__":
    main()
