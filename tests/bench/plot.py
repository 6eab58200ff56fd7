#!/usr/bin/python3
"""Draws how cost grows, from what bench_losses wrote.

    plot.py LOSSES.json FOLDER    writes elements.svg, classes.svg, threads.svg

Plain SVG by hand: no plotting library would be used for anything else here.
"""

import collections
import html
import json
import math
import pathlib
import re
import sys

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 260, 50, 60
# Of the triad and the losses most used; with those left over, everything else
# is grey, and its name appears under the pointer.
HIGHLIGHTS = {
    "triad": "#000000",
    "mean_squared_error": "#1f77b4",
    "mean_absolute_error": "#17becf",
    "huber": "#2ca02c",
    "mean_squared_logarithmic_error": "#bcbd22",
    "binary_cross_entropy": "#ff7f0e",
    "hinge": "#8c564b",
    "categorical_cross_entropy": "#e377c2",
    "sparse_categorical_cross_entropy": "#d62728",
    "kullback_leibler_divergence": "#9467bd",
}
GREY = "#bbbbbb"
NAME = re.compile(r"(\w+)/(\d+)x(\d+)/float32/gradient/threads:(\d+)")
MILLISECONDS = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3}
# Of bench_losses: the point where its axes cross.
COMMON_ELEMENTS = 2**22

Run = collections.namedtuple("Run", "loss rows columns threads ms")


def read(path):
    """The machine with its load as it began, and the runs that were not
    refused."""
    document = json.loads(pathlib.Path(path).read_text("utf-8"))
    runs = []
    for entry in document["benchmarks"]:
        match = NAME.match(entry["name"])
        if (match and entry["run_type"] == "iteration"
                and not entry.get("error_occurred")):
            loss, *numbers = match.groups()
            runs.append(Run(loss, *map(int, numbers), entry["real_time"]
                            * MILLISECONDS[entry["time_unit"]]))
    context = document["context"]
    machine = (f"{context['num_cpus']} CPUs of {context['mhz_per_cpu']} MHz, "
               f"load {context['load_avg'][0]:.1f}, {context['date'][:10]}")
    return machine, runs


def series(runs, keep, x, y):
    """Points by loss, in the order of x: the fastest of the repetitions, since
    other programs on the machine can only add to what a loss costs."""
    lines = collections.defaultdict(dict)
    for run in runs:
        if keep(run):
            points = lines[run.loss]
            points[x(run)] = min(y(run), points.get(x(run), math.inf))
    return {loss: sorted(points.items()) for loss, points in lines.items()}


def short(number):
    for power, letter in ((30, "Gi"), (20, "Mi"), (10, "Ki")):
        if number >= 2**power and number % 2**power == 0:
            return f"{int(number) >> power} {letter}"
    return f"{number:g}"


class Axis:
    """Logarithmic, from data to pixels."""

    def __init__(self, values, start, end):
        self.low, self.high = math.log(min(values)), math.log(max(values))
        if self.low == self.high:
            self.low, self.high = self.low - 1, self.high + 1
        self.start, self.end = start, end

    def __call__(self, value):
        share = (math.log(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def text(x, y, content, anchor="middle", color="#333333", size=12, more=""):
    return (f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{color}" '
            f'font-size="{size}" {more}>{html.escape(content)}</text>')


def line(x1, y1, x2, y2):
    return (f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" '
            'stroke="#e5e5e5"/>')


def draw(title, x_label, y_label, lines, colors=None):
    colors = HIGHLIGHTS if colors is None else colors
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points]
    decades = [10.0**k for k in range(math.floor(math.log10(min(ys))),
                                      math.ceil(math.log10(max(ys))) + 1)]
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    to_x, to_y = Axis(xs, LEFT, right), Axis(decades, bottom, TOP)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text(LEFT, 24, title, "start", size=15),
             text((LEFT + right) / 2, HEIGHT - 16, x_label),
             text(18, (TOP + bottom) / 2, y_label,
                  more=f'transform="rotate(-90 18 {(TOP + bottom) / 2})"')]
    for x in xs:
        parts += [line(to_x(x), TOP, to_x(x), bottom),
                  text(to_x(x), bottom + 18, short(x), size=11)]
    for y in decades:
        parts += [line(LEFT, to_y(y), right, to_y(y)),
                  text(LEFT - 8, to_y(y) + 4, f"{y:g}", "end", size=11)]
    # Grey ones first, so that the others lie above.
    for loss in sorted(lines, key=lambda name: name in colors):
        points = " ".join(f"{to_x(x)},{to_y(y)}" for x, y in lines[loss])
        parts.append(f'<polyline points="{points}" fill="none" stroke-width='
                     f'"2" stroke="{colors.get(loss, GREY)}">'
                     f"<title>{html.escape(loss)}</title></polyline>")
    legend = [(loss, color) for loss, color in colors.items()
              if loss in lines]
    if set(lines) - set(colors):
        legend.append(("others", GREY))
    for i, (loss, color) in enumerate(legend):
        y = TOP + 20 * i
        parts += [f'<rect x="{right + 16}" y="{y}" width="14" height="4" '
                  f'fill="{color}"/>',
                  text(right + 38, y + 7, loss, "start")]
    return "\n".join(parts + ["</svg>"]) + "\n"


def main():
    machine, runs = read(sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    most = max(run.threads for run in runs)
    common_columns = (1, 1000)

    def elements(run):
        """Whole rows make a little less than was asked for."""
        return 2**math.ceil(math.log2(run.rows * run.columns))

    plots = {
        "elements": (
            f"Loss and gradient, float32, {most} threads ({machine})",
            "elements (softmax losses: 1000 classes)", "milliseconds",
            series(runs, lambda r: r.threads == most
                   and r.columns in common_columns, elements,
                   lambda r: r.ms)),
        "classes": (
            f"4 Mi elements, loss and gradient, float32, {most} threads "
            f"({machine})", "classes", "nanoseconds an element",
            series(runs, lambda r: r.threads == most and r.columns > 1
                   and elements(r) == COMMON_ELEMENTS, lambda r: r.columns,
                   lambda r: r.ms * 1e6 / (r.rows * r.columns))),
        "threads": (
            f"4 Mi elements, loss and gradient, float32 ({machine})",
            "threads", "milliseconds",
            series(runs, lambda r: elements(r) == COMMON_ELEMENTS
                   and r.columns in common_columns, lambda r: r.threads,
                   lambda r: r.ms)),
    }
    for name, plot in plots.items():
        (folder / f"{name}.svg").write_text(draw(*plot), "utf-8")
        print(folder / f"{name}.svg")


if __name__ == "__main__":
    main()
