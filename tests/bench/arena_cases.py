"""What is compared on one machine, with which targets. All of it is float32,
loss and gradient."""

from workloads import Case

MSE = "mean_squared_error"
SCCE = "sparse_categorical_cross_entropy"
CASES = [Case(MSE, 2**24), Case(SCCE, 16384, 1000)]

# Ways to call lossd from Python (arena_ways.py): how many times as fast as
# PyTorch in the caller's own process. None: only reported.
WAY_TARGETS = {"resident": 8, "copied": 4, "ordinary": 3, "loss": None,
               "inline": None}

# Through an arena a call may take this much longer than one of the library in
# the same process, and a small one than an echo.
LIBRARY_TARGET = 1 / 1.15
ECHO_TARGET = 1 / 1.1
SMALL_CASE = Case(MSE, 256)
SMALL_CALLS = 400  # of a turn

CALLERS = 4
CALLERS_CASE = Case(MSE, 2**22)
# Of a turn.
SHARE_SECONDS = 1
# The slowest caller's calls of the fastest's. They all take turns, so it should
# be 1; but a turn has some 50 calls of each, the last of which may or may not
# count, and the callers' own four threads share two CPUs with lossd's.
SHARE_TARGET = 0.8

# A training step with PyTorch's own loss against one through an arena.
STEP_TARGETS = {"digits": 1 / 1.05, "head32768": 1 / 0.9}

# Of the break-even table: rows x columns.
SIZES = {
    MSE: [(2**power, 1) for power in range(8, 25, 2)],
    SCCE: [(2**power, 1000) for power in range(0, 15, 2)],
}
# A turn computes about so many elements in each way, within these bounds.
TURN_ELEMENTS = 2**24
FEWEST_RUNS, MOST_RUNS = 3, 100


def name_of(case):
    return f"{case.loss}/{case.rows}x{case.columns}"


def options_of(loss):
    """What lossd must be told."""
    return {"prediction_kind": "LOGITS"} if loss == SCCE else {}


def runs_of(case):
    runs = TURN_ELEMENTS // (case.rows * case.columns)
    return min(max(runs, FEWEST_RUNS), MOST_RUNS)


def sizes():
    """The cases of the break-even table."""
    for loss, shapes in SIZES.items():
        for shape in shapes:
            yield Case(loss, *shape)
