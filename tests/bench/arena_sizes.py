"""The table of what a call takes by its size."""

import torch

from arena_cases import SIZES

COLUMNS = {"torch": "PyTorch", "inline": "gRPC", "loss": "`Loss(arena=True)`",
           "resident": "in the arena"}

TITLE = """# On one machine

Written by `tests/bench/compare.sh arena`, not edited by hand.
{machine}; PyTorch is {torch}.

Milliseconds from Python for a loss and its gradient, float32, medians of runs
in turn. PyTorch computes in the caller's own process; lossd is called over a
Unix socket with ordinary tensors (gRPC), by `lossd.torch.Loss(arena=True)` with
ordinary tensors, which are copied into its arena, and with tensors that lie in
an arena. Both have as many threads as there are CPUs. What is faster than
PyTorch is bold; the last line says from which size on it always is.
"""


def _cell(milliseconds, torch_ms):
    text = (f"{milliseconds:.2f}" if milliseconds < 10
            else f"{milliseconds:.0f}")
    return f"**{text}**" if milliseconds < torch_ms else text


def _break_even(rows, way):
    """The smallest size from which on the way is faster than PyTorch."""
    found = "never"
    for size, times in reversed(rows):
        if times[way] >= times["torch"]:
            break
        found = size
    return found


def _line(cells):
    return "| " + " | ".join(cells) + " |\n"


def table(medians, machine):
    """Markdown. `medians` are milliseconds by way, by Case."""
    parts = [TITLE.format(machine=machine, torch=torch.__version__)]
    for loss in SIZES:
        rows = [(f"{case.rows} x {case.columns}", times)
                for case, times in medians if case.loss == loss]
        parts += [f"\n## {loss}\n\n", _line(["size", *COLUMNS.values()]),
                  _line(["---:"] * (1 + len(COLUMNS)))]
        parts += [_line([size, *(_cell(times[way], times["torch"])
                                 for way in COLUMNS)]) for size, times in rows]
        parts.append(_line(["faster from", "", *(
            _break_even(rows, way) for way in COLUMNS if way != "torch")]))
    return "".join(parts)
