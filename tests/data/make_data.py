#!/usr/bin/python3
"""Makes the files of this folder: real predictions, and what lossd must answer.

    make_data.py           trains the models, writes arrays and expected values
    make_data.py --check   recomputes the expected values from the arrays on
                           disk and compares; trains and writes nothing

The expected losses and gradients are computed in float64 from the float32
arrays, by formulas that share nothing with lossd, and compared with PyTorch's
autograd when they are made. `--check` needs numpy alone; making the data needs
scikit-learn and PyTorch too.
"""

import argparse
import json
import os
import pathlib
import sys

# Before numpy loads its BLAS: one thread sums in one order, so that a second
# run writes the same bytes.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np  # noqa: E402

FOLDER = pathlib.Path(__file__).resolve().parent

# Two evaluations in float64 of the same formula on the same arrays differ by
# the last bits of exp and log and by the order of a sum of at most 3000 terms.
# numpy sums pairwise, so that is a few dozen units of 2^-53: below 1e-14 of the
# terms, and no loss here is smaller than a tenth of its terms. A gradient
# element may be a difference of larger ones, so it is measured against the
# largest element. 1e-12 leaves room for other libraries and is still four
# decimal digits finer than float32, so no wrong formula passes.
TOLERANCE = 1e-12

# How far from 1 the sum of a float32 probability row may be for lossd.
ROW_SUM_TOLERANCE = 1e-4


# --- The models -------------------------------------------------------------


def _split(data, test_size):
    from sklearn.model_selection import train_test_split

    return train_test_split(
        data.data, data.target, test_size=test_size, random_state=0
    )


def diabetes():
    """Ridge regression; predictions and targets are positive scores."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    x, x_test, y, y_test = _split(load_diabetes(), 221)
    return {
        "diabetes_predictions": Ridge(alpha=0.1).fit(x, y).predict(x_test),
        "diabetes_targets": y_test,
    }


def breast_cancer():
    """Logistic regression, and a linear support vector machine for hinge.

    The regularisation (C) keeps every logit below 16, so that no float32
    probability reaches 1.
    """
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, x_test, y, y_test = _split(load_breast_cancer(), 284)
    scaler = StandardScaler().fit(x)
    x, x_test = scaler.transform(x), scaler.transform(x_test)
    logits = LogisticRegression(C=0.1).fit(x, y).decision_function(x_test)
    scores = SVC(kernel="linear", C=0.1).fit(x, y).decision_function(x_test)
    # Both classes weigh the same in total, as class_weight="balanced" does.
    weights = len(y_test) / (2.0 * np.bincount(y_test)[y_test])
    return {
        "breast_cancer_logits": logits,
        "breast_cancer_probabilities": sigmoid(logits),
        "breast_cancer_scores": scores,
        "breast_cancer_labels": y_test,
        "breast_cancer_signs": 2 * y_test - 1,
        "breast_cancer_sample_weights": weights,
    }


def digits():
    """Multinomial logistic regression on ten classes.

    The soft targets are the class shares among the 30 nearest training images:
    a real distribution with many exact zeros.
    """
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    x, x_test, y, y_test = _split(load_digits(), 300)
    x, x_test = x / 16.0, x_test / 16.0
    model = LogisticRegression(max_iter=1000).fit(x, y)
    logits = model.decision_function(x_test)
    probabilities = softmax(logits)
    neighbours = KNeighborsClassifier(n_neighbors=30).fit(x, y)
    return {
        "digits_logits": logits,
        "digits_probabilities": probabilities,
        "digits_log_probabilities": np.log(probabilities),
        "digits_labels": y_test,
        "digits_one_hot": np.eye(10)[y_test],
        "digits_soft_targets": neighbours.predict_proba(x_test),
    }


# --- The losses: mean over rows, gradient with respect to the predictions ----
#
# Each returns (loss of every row, gradient of the sum of the row losses).
# Differences of nearly equal numbers are avoided where predictions are
# confident, so the small gradients are right to the last digits as well.


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def xlogy(a, b):
    """a log b, and 0 where a is 0."""
    return a * np.log(np.where(a > 0, b, 1.0))


def mean_squared_error(p, t):
    return (p - t) ** 2, 2 * (p - t)


def mean_squared_logarithmic_error(p, t):
    d = np.log1p(p) - np.log1p(t)
    return d**2, 2 * d / (1 + p)


def mean_absolute_error(p, t):
    return np.abs(p - t), np.sign(p - t)


def huber(p, t, delta=1.0):
    r = p - t
    linear = delta * (np.abs(r) - delta / 2)
    loss = np.where(np.abs(r) <= delta, r**2 / 2, linear)
    return loss, np.clip(r, -delta, delta)


def binary_cross_entropy(
    p, t, prediction_kind, label_smoothing=0.0, pos_weight=1.0
):
    t = (1 - label_smoothing) * t + label_smoothing / 2
    positive, negative = pos_weight * t, 1 - t
    if prediction_kind == "PROBABILITIES":
        loss = -positive * np.log(p) - negative * np.log1p(-p)
        return loss, negative / (1 - p) - positive / p
    loss = positive * np.logaddexp(0, -p) + negative * np.logaddexp(0, p)
    return loss, negative * sigmoid(p) - positive * sigmoid(-p)


def hinge(p, t, label_encoding="PLUS_MINUS_ONE"):
    y = 2 * t - 1 if label_encoding == "ZERO_ONE" else t
    margin = 1 - y * p
    return np.maximum(margin, 0), np.where(margin >= 0, -y, 0.0)


def categorical_cross_entropy(p, t, prediction_kind, label_smoothing=0.0):
    classes = p.shape[-1]
    t = (1 - label_smoothing) * t + label_smoothing / classes
    total = t.sum(axis=-1, keepdims=True)
    if prediction_kind == "PROBABILITIES":
        # A row is taken relative to its sum, which the gradient sees.
        row_sum = p.sum(axis=-1, keepdims=True)
        loss = -xlogy(t, p / row_sum).sum(axis=-1)
        return loss, total / row_sum - t / p
    q = softmax(p)
    others = q @ (1 - np.eye(classes))  # 1 - q without cancellation
    loss = (t * np.log1p(others / q)).sum(axis=-1)
    return loss, (total - t) * q - t * others


def sparse_categorical_cross_entropy(p, t, **options):
    one_hot = np.eye(p.shape[-1])[t.astype(int)]
    return categorical_cross_entropy(p, one_hot, **options)


def kullback_leibler_divergence(p, t, prediction_kind):
    negative_entropy = xlogy(t, t).sum(axis=-1)
    if prediction_kind == "LOGITS":
        loss, gradient = categorical_cross_entropy(p, t, prediction_kind)
        return negative_entropy + loss, gradient
    if prediction_kind == "LOG_PROBABILITIES":
        return negative_entropy - (t * p).sum(axis=-1), -t
    return negative_entropy - xlogy(t, p).sum(axis=-1), -t / p


# --- The cases --------------------------------------------------------------


def _case(name, loss, predictions, targets, *, options=None,
          sample_weights=None, quickstart=False):
    case = {
        "id": name,
        "loss": loss,
        "options": options or {},
        "predictions": f"{predictions}.npy",
        "targets": f"{targets}.npy",
        "reduction": "MEAN",
        "quickstart": quickstart,
    }
    if sample_weights:
        case["sample_weights"] = f"{sample_weights}.npy"
    return case


def cases():
    """Every case, without its expected values; one a loss for quickstart."""
    logits = {"prediction_kind": "LOGITS"}
    probabilities = {"prediction_kind": "PROBABILITIES"}
    log_probabilities = {"prediction_kind": "LOG_PROBABILITIES"}
    regression = ("diabetes_predictions", "diabetes_targets")
    bce = "binary_cross_entropy"
    cce = "categorical_cross_entropy"
    scce = "sparse_categorical_cross_entropy"
    kld = "kullback_leibler_divergence"
    cancer = "breast_cancer_"
    return [
        _case("mse", "mean_squared_error", *regression, quickstart=True),
        _case("msle", "mean_squared_logarithmic_error", *regression,
              quickstart=True),
        _case("mae", "mean_absolute_error", *regression, quickstart=True),
        _case("huber_delta_1", "huber", *regression, options={"delta": 1.0},
              quickstart=True),
        _case("huber_delta_50", "huber", *regression, options={"delta": 50.0}),
        _case("bce_logits", bce, cancer + "logits", cancer + "labels",
              options=logits, quickstart=True),
        _case("bce_probabilities", bce, cancer + "probabilities",
              cancer + "labels", options=probabilities),
        _case("bce_sample_weights", bce, cancer + "logits", cancer + "labels",
              options=logits, sample_weights=cancer + "sample_weights"),
        _case("bce_smoothing_pos_weight", bce, cancer + "logits",
              cancer + "labels",
              options={**logits, "label_smoothing": 0.1, "pos_weight": 3.0}),
        _case("hinge", "hinge", cancer + "scores", cancer + "signs",
              options={"label_encoding": "PLUS_MINUS_ONE"}, quickstart=True),
        _case("hinge_zero_one", "hinge", cancer + "scores", cancer + "labels",
              options={"label_encoding": "ZERO_ONE"}),
        _case("cce_logits", cce, "digits_logits", "digits_one_hot",
              options=logits, quickstart=True),
        _case("cce_probabilities", cce, "digits_probabilities",
              "digits_one_hot", options=probabilities),
        _case("cce_soft_smoothing", cce, "digits_logits",
              "digits_soft_targets",
              options={**logits, "label_smoothing": 0.1}),
        _case("scce_logits", scce, "digits_logits", "digits_labels",
              options=logits, quickstart=True),
        _case("kld_logits", kld, "digits_logits", "digits_soft_targets",
              options=logits, quickstart=True),
        _case("kld_probabilities", kld, "digits_probabilities",
              "digits_soft_targets", options=probabilities),
        _case("kld_log_probabilities", kld, "digits_log_probabilities",
              "digits_soft_targets", options=log_probabilities),
    ]


def _load(name):
    return np.load(FOLDER / name)


def _tensors(case):
    """Predictions, targets and weights of a case in float64."""
    p = _load(case["predictions"]).astype(np.float64)
    t = _load(case["targets"]).astype(np.float64)
    weights = np.ones(len(p))
    if "sample_weights" in case:
        weights = _load(case["sample_weights"]).astype(np.float64)
    return p, t, weights


def expected(case):
    """The loss and its gradient, reduction MEAN: sum of w * loss / rows."""
    p, t, weights = _tensors(case)
    row_losses, gradient = globals()[case["loss"]](p, t, **case["options"])
    rows = len(p)
    loss = float((weights * row_losses).sum() / rows)
    weights = weights.reshape((rows,) + (1,) * (p.ndim - 1))
    return loss, weights * gradient / rows


def torch_expected(case):
    """The same from PyTorch in float64, the gradient by autograd."""
    import torch
    from torch.nn import functional as f

    p, t, weights = (torch.from_numpy(array) for array in _tensors(case))
    p.requires_grad_(True)
    options = dict(case["options"])
    kind = options.pop("prediction_kind", None)
    smoothing = options.get("label_smoothing", 0.0)
    loss = case["loss"]
    if loss == "mean_squared_error":
        rows = f.mse_loss(p, t, reduction="none")
    elif loss == "mean_squared_logarithmic_error":
        rows = f.mse_loss(torch.log1p(p), torch.log1p(t), reduction="none")
    elif loss == "mean_absolute_error":
        rows = f.l1_loss(p, t, reduction="none")
    elif loss == "huber":
        rows = f.huber_loss(p, t, delta=options["delta"], reduction="none")
    elif loss == "hinge":
        y = 2 * t - 1 if options["label_encoding"] == "ZERO_ONE" else t
        rows = torch.clamp(1 - y * p, min=0)
    elif kind == "PROBABILITIES" and loss == "binary_cross_entropy":
        rows = f.binary_cross_entropy(p, t, reduction="none")
    elif loss == "binary_cross_entropy":
        rows = f.binary_cross_entropy_with_logits(
            p, (1 - smoothing) * t + smoothing / 2, reduction="none",
            pos_weight=torch.tensor(options.get("pos_weight", 1.0)))
    elif loss == "kullback_leibler_divergence":
        log_q = {"LOGITS": lambda x: f.log_softmax(x, -1),
                 "PROBABILITIES": torch.log,
                 "LOG_PROBABILITIES": lambda x: x}[kind](p)
        rows = f.kl_div(log_q, t, reduction="none").sum(-1)
    elif kind == "PROBABILITIES":
        rows = f.nll_loss(torch.log(p / p.sum(-1, keepdim=True)),
                          t.argmax(-1), reduction="none")
    else:
        labels = t.long() if t.ndim == 1 else t
        rows = f.cross_entropy(p, labels, reduction="none",
                               label_smoothing=smoothing)
    value = (weights * rows).mean()
    value.backward()
    return value.item(), p.grad.numpy()


# --- Writing and checking ---------------------------------------------------


def disagreement(loss, gradient, other_loss, other_gradient):
    """What differs by more than TOLERANCE, or None."""
    if not abs(loss - other_loss) <= TOLERANCE * abs(loss):
        return f"loss {loss!r} against {other_loss!r}"
    if gradient.shape != other_gradient.shape:
        return f"gradient {gradient.shape} against {other_gradient.shape}"
    worst = np.abs(gradient - other_gradient).max()
    if not worst <= TOLERANCE * np.abs(gradient).max():
        return f"gradient off by {worst}"
    return None


def input_problems():
    """What in the arrays lossd would refuse, or would not be a fair test."""
    problems = []
    for path in sorted(FOLDER.glob("*.npy")):
        array = np.load(path)
        if array.dtype not in (np.float32, np.int64):
            problems.append(f"{path.name}: dtype {array.dtype}")
        if not np.isfinite(array).all():
            problems.append(f"{path.name}: not finite")
    for name in ("diabetes_predictions.npy", "diabetes_targets.npy"):
        array, column = _load(name), (FOLDER / name).with_suffix(".csv")
        if array.min() <= 0:
            problems.append(f"{name}: not positive")
        if not np.array_equal(np.loadtxt(column), array.astype(np.float64)):
            problems.append(f"{column.name}: not the numbers of {name}")
    for name in ("breast_cancer_probabilities.npy",
                 "digits_probabilities.npy"):
        array = _load(name)
        if array.min() <= 0 or array.max() >= 1:
            problems.append(f"{name}: reaches 0 or 1")
    for name in ("digits_probabilities.npy", "digits_soft_targets.npy"):
        sums = _load(name).astype(np.float64).sum(axis=-1)
        if np.abs(sums - 1).max() > ROW_SUM_TOLERANCE:
            problems.append(f"{name}: rows do not sum to 1")
    return problems


def check():
    """Compares disk with what the arrays and formulas say; True if equal."""
    manifest = json.loads((FOLDER / "cases.json").read_text())
    problems = input_problems()
    answers = {"expected_loss", "expected_gradient", "expected_gradient_norm",
               "rows"}
    questions = [{key: value for key, value in case.items()
                  if key not in answers} for case in manifest]
    if questions != cases():
        problems.append("cases.json does not list the cases of this script")
    for case in manifest:
        loss, gradient = expected(case)
        stored = _load(case["expected_gradient"])
        problem = disagreement(
            loss, gradient, case["expected_loss"], stored)
        norm = np.linalg.norm(gradient)
        if abs(norm - case["expected_gradient_norm"]) > TOLERANCE * norm:
            problem = problem or "gradient norm differs"
        if case["rows"] != len(gradient) or stored.dtype != np.float64:
            problem = problem or "rows or dtype differ"
        if problem:
            problems.append(f"{case['id']}: {problem}")
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"{len(manifest)} cases agree")
    return not problems


def make():
    """Writes every file of this folder but the README and this script."""
    for array_set in (diabetes(), breast_cancer(), digits()):
        for name, array in array_set.items():
            dtype = np.int64 if name == "digits_labels" else np.float32
            np.save(FOLDER / f"{name}.npy", array.astype(dtype))
    for name in ("diabetes_predictions", "diabetes_targets"):
        # All digits of the float32 value: read as float32 or as float64, it
        # is the same number.
        lines = (f"{float(v)!r}\n" for v in _load(f"{name}.npy"))
        (FOLDER / f"{name}.csv").write_text("".join(lines))

    (FOLDER / "expected").mkdir(exist_ok=True)
    lines = []
    for case in cases():
        loss, gradient = expected(case)
        problem = disagreement(loss, gradient, *torch_expected(case))
        if problem:
            sys.exit(f"{case['id']}: PyTorch disagrees: {problem}")
        case["expected_loss"] = loss
        case["expected_gradient"] = f"expected/{case['id']}_gradient.npy"
        case["expected_gradient_norm"] = float(np.linalg.norm(gradient))
        case["rows"] = len(gradient)
        np.save(FOLDER / case["expected_gradient"], gradient)
        lines.append(json.dumps(case))
    text = "[\n" + ",\n".join(lines) + "\n]\n"
    (FOLDER / "cases.json").write_text(text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true",
                        help="compare the files with the formulas and stop")
    arguments = parser.parse_args()
    if not arguments.check:
        make()
    sys.exit(0 if check() else 1)


if __name__ == "__main__":
    main()
