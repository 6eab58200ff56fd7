"""What is compared, with which targets, and the tensors for it."""

import dataclasses
import pathlib

import numpy as np

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = F = None

ELEMENTS = 2**24


@dataclasses.dataclass(frozen=True)
class Case:
    loss: str  # of the registry
    rows: int
    columns: int = 1
    dtype: str = "float32"
    # Beside the loss's own way to make targets.
    variant: str = ""
    # Least ratio peer / ours, by peer.
    targets: dict = dataclasses.field(default_factory=dict)

    @property
    def workload(self):
        return self.loss + self.variant

    @property
    def name(self):
        return f"{self.workload}/{self.rows}x{self.columns}/{self.dtype}"


def peers(triad=None, torch=5, fused_omp=1):
    targets = {"triad": triad, "torch": torch, "fused_omp": fused_omp}
    return {peer: target for peer, target in targets.items() if target}


MSE = Case("mean_squared_error", ELEMENTS, targets=peers(triad=0.85))
MAE = Case("mean_absolute_error", ELEMENTS, targets=peers(triad=0.85))
SCCE = Case("sparse_categorical_cross_entropy", 16384, 1000,
            targets=peers(triad=0.65))
ONE_HOT = Case("categorical_cross_entropy", 16384, 1000, variant="_one_hot")

CASES = [
    MSE,
    MAE,
    Case("huber", ELEMENTS, targets=peers(triad=0.85)),
    Case("binary_cross_entropy", ELEMENTS, targets=peers(triad=0.5)),
    Case("mean_squared_logarithmic_error", ELEMENTS,
         targets=peers(triad=0.4)),
    Case("hinge", ELEMENTS, targets=peers(triad=0.85)),
    SCCE,
    Case("sparse_categorical_cross_entropy", 512, 32768,
         targets=peers(triad=0.65)),
    Case("sparse_categorical_cross_entropy", 65536, 10, targets=peers()),
    Case("categorical_cross_entropy", 16384, 1000, targets=peers(triad=0.6)),
    Case("kullback_leibler_divergence", 16384, 1000,
         targets=peers(triad=0.6)),
]

# Of the geometric mean of all cases of a peer.
MEAN_TARGETS = {"torch": 10, "fused_omp": 1.5}

# Ours against ours: how much faster the first must be.
PAIRS = [
    (MAE, MSE, 1 / 1.05),
    (SCCE, ONE_HOT, 1 / 0.75),
    *((dataclasses.replace(case, dtype="float64"), case, 1 / 2.2)
      for case in (MSE, SCCE)),
    *((dataclasses.replace(MSE, dtype=dtype), MSE, 1)
      for dtype in ("bfloat16", "float16")),
]


if torch:
    TORCH_LOSSES = {
        "mean_squared_error": F.mse_loss,
        "mean_absolute_error": F.l1_loss,
        "huber": F.huber_loss,
        "binary_cross_entropy": F.binary_cross_entropy_with_logits,
        "mean_squared_logarithmic_error":
            lambda p, t: F.mse_loss(torch.log1p(p), torch.log1p(t)),
        "hinge": lambda p, t: torch.clamp(1 - p * t, min=0).mean(),
        "sparse_categorical_cross_entropy": F.cross_entropy,
        "categorical_cross_entropy": F.cross_entropy,
        "kullback_leibler_divergence":
            lambda x, t: F.kl_div(F.log_softmax(x, 1), t,
                                  reduction="batchmean"),
    }
else:
    TORCH_LOSSES = {}


def normal(random, case):
    return random.standard_normal((case.rows, case.columns), np.float32)


def bits(random, case):
    return random.integers(0, 2, (case.rows, case.columns)).astype(np.float32)


def softmax(random, case):
    soft = np.exp(normal(random, case))
    return soft / soft.sum(1, keepdims=True)


def one_hot(random, case):
    rows = np.zeros((case.rows, case.columns), np.float32)
    rows[np.arange(case.rows), random.integers(0, case.columns,
                                               case.rows)] = 1
    return rows


# Predictions and targets.
SAMPLES = {
    "mean_squared_error": lambda r, c: (normal(r, c), normal(r, c)),
    "mean_absolute_error": lambda r, c: (normal(r, c), normal(r, c)),
    "huber": lambda r, c: (normal(r, c), normal(r, c)),
    "binary_cross_entropy": lambda r, c: (4 * normal(r, c), bits(r, c)),
    "mean_squared_logarithmic_error":
        lambda r, c: (np.exp(normal(r, c)), np.exp(normal(r, c))),
    "hinge": lambda r, c: (normal(r, c), 2 * bits(r, c) - 1),
    "sparse_categorical_cross_entropy":
        lambda r, c: (3 * normal(r, c), r.integers(0, c.columns, c.rows)),
    "categorical_cross_entropy":
        lambda r, c: (3 * normal(r, c), softmax(r, c)),
    "categorical_cross_entropy_one_hot":
        lambda r, c: (3 * normal(r, c), one_hot(r, c)),
    "kullback_leibler_divergence":
        lambda r, c: (3 * normal(r, c), softmax(r, c)),
}


def in_dtype(array, dtype):
    """Labels stay labels; bfloat16, which numpy has not, becomes its bits."""
    if array.dtype == np.int64:
        return array
    if dtype != "bfloat16":
        return array.astype(dtype)
    return ((array.view(np.uint32) + np.uint32(0x8000)) >> 16).astype(
        np.uint16)


@dataclasses.dataclass
class Tensors:
    predictions: np.ndarray
    targets: np.ndarray
    paths: tuple

    @property
    def bytes_moved(self):
        """Predictions and targets in, the gradient out."""
        return 2 * self.predictions.nbytes + self.targets.nbytes


def arrays_of(case):
    """Predictions and targets, the same numbers every time."""
    arrays = [in_dtype(array, case.dtype) for array in
              SAMPLES[case.workload](np.random.default_rng(1), case)]
    return [array.reshape(-1) if case.columns == 1 else array
            for array in arrays]


class Sampler:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def sample(self, case):
        """Also in files of raw numbers, which are overwritten by the next
        sample."""
        arrays = arrays_of(case)
        paths = tuple(str(self.folder / name)
                      for name in ("predictions", "targets"))
        for array, path in zip(arrays, paths):
            array.tofile(path)
        return Tensors(*arrays, paths)
