"""Losses of two classes, or of independent labels."""

import draws
import torch
import torch.nn.functional as F
from math_of import softplus
from row import Input, Row, Setting

LOGITS = {"prediction_kind": "LOGITS"}
PROBABILITIES = {"prediction_kind": "PROBABILITIES"}
SOFT = {"predictions": Input(draws.logits), "targets": Input(draws.soft)}
UNIT = {"predictions": Input(draws.unit), "targets": Input(draws.soft)}
SIGNS = {"predictions": Input(draws.logits),
         "targets": Input(draws.signs, whole=True)}
BITS = {"predictions": Input(draws.logits),
        "targets": Input(draws.zero_one, whole=True)}
# Units of float64 in PyTorch's forms, whose terms near 1 and near x cancel.
PYTORCH_ROUNDING = 2.0**-50


def smoothed(x, o):
    return (1 - o.label_smoothing) * x.t + o.label_smoothing / 2


def pos_weight(x, o):
    return o.pos_weight if x.pos_weight is None else x.pos_weight


def bce(x, o):
    y = smoothed(x, o)
    return pos_weight(x, o) * y * softplus(-x.p) + (1 - y) * softplus(x.p)


def bce_slopes(x, o):
    y = smoothed(x, o)
    return {"predictions": pos_weight(x, o) * y * torch.sigmoid(-x.p) +
            (1 - y) * torch.sigmoid(x.p)}


def torch_bce_with_logits(x, o, reduction):
    weight = torch.as_tensor(pos_weight(x, o), dtype=x.p.dtype)
    if not x.p.ndim:
        weight = weight.reshape(())
    return F.binary_cross_entropy_with_logits(
        x.p, x.t, weight=x.weight, pos_weight=weight, reduction=reduction)


def bce_of_probabilities(x, o):
    y = smoothed(x, o)
    return -(y * torch.log(x.p) + (1 - y) * torch.log1p(-x.p))


def bce_of_probabilities_slopes(x, o):
    y = smoothed(x, o)
    return {"predictions": y / x.p + (1 - y) / (1 - x.p)}


def label(x, o):
    return 2 * x.t - 1 if o.label_encoding == "ZERO_ONE" else x.t


def hinge_size(x, o):
    return 1 + x.p.abs()


def focal_parts(x, o):
    """alpha of each element, 1 - P, bce; nothing in them cancels."""
    t = smoothed(x, o)
    if o.prediction_kind == "LOGITS":
        q, other = torch.sigmoid(x.p), torch.sigmoid(-x.p)
        value = t * softplus(-x.p) + (1 - t) * softplus(x.p)
    else:
        q, other = x.p, 1 - x.p
        value = -(t * torch.log(x.p) + (1 - t) * torch.log1p(-x.p))
    alpha = (1 if o.alpha is None else
             o.alpha * t + (1 - o.alpha) * (1 - t))
    return alpha, t * other + (1 - t) * q, value


def focal(x, o):
    """torchvision's sigmoid_focal_loss (without alpha where it is off)."""
    alpha, miss, value = focal_parts(x, o)
    return alpha * miss**o.gamma * value


def focal_terms(x, o):
    """A power multiplies the relative error of its base, here by gamma."""
    return (1 + o.gamma) * focal(x, o)


def focal_slopes(x, o):
    alpha, miss, value = focal_parts(x, o)
    t = smoothed(x, o)
    q = torch.sigmoid(x.p) if o.prediction_kind == "LOGITS" else x.p
    variance = q * torch.sigmoid(-x.p) if o.prediction_kind == "LOGITS" else 1
    first = miss**o.gamma * (variance * t / q + variance * (1 - t) / (1 - q)
                             if o.prediction_kind != "LOGITS" else miss)
    second = o.gamma * miss**(o.gamma - 1) * variance * value
    # As in focal_terms, for up to miss^(1 + gamma).
    return {"predictions": (2 + o.gamma) * alpha * (first + second)}


def overlap_probabilities(x, o):
    """The derivative of torch.sigmoid is q (1 - q), which has no digits left
    where q is near 1; that of this form is q sigmoid(-p)."""
    return (torch.exp(F.logsigmoid(x.p)) if o.prediction_kind == "LOGITS" else
            x.p)


def overlap(x, o):
    q = overlap_probabilities(x, o)
    positive = (q * x.t).sum(-1)
    false = o.alpha * (q * (1 - x.t)).sum(-1) + o.beta * (
        (1 - q) * x.t).sum(-1)
    return 1 - (positive + o.smooth) / (positive + false + o.smooth)


def dice(x, o):
    q = overlap_probabilities(x, o)
    both = (q * x.t).sum(-1)
    return 1 - (2 * both + o.smooth) / ((q + x.t).sum(-1) + o.smooth)


def overlap_slopes(x, o):
    """Each of the two terms is at most (2 + alpha + beta) / what is divided
    by."""
    q = torch.sigmoid(x.p) if o.prediction_kind == "LOGITS" else x.p
    smallest = (o.alpha * q + o.beta * x.t +
                (1 - o.alpha - o.beta) * q * x.t).sum(-1, keepdim=True)
    size = (2 + o.alpha + o.beta) / (smallest + o.smooth)
    slope = q * torch.sigmoid(-x.p) if o.prediction_kind == "LOGITS" else (
        torch.ones_like(q))
    return {"predictions": size * slope}


def overlap_rows(loss, formula, defaults, settings):
    for layout, scope in (("samples", {}), ("whole", {"scope": "BATCH"})):
        for inputs, kind in ((SOFT, LOGITS), (UNIT, PROBABILITIES)):
            name = f"{loss} of {kind['prediction_kind'].lower()}, {layout}"
            yield Row(name, loss, inputs, defaults=defaults, layout=layout,
                      settings=tuple(Setting(kind | scope | options)
                                     for options in settings),
                      formula=formula, terms=lambda x, o: 1 + formula(x, o),
                      slopes=overlap_slopes)


BCE = {"label_smoothing": 0.0, "pos_weight": 1.0}
FOCAL = {"label_smoothing": 0.0, "gamma": 2.0, "alpha": None}
ROWS = (
    Row("binary_cross_entropy_with_logits", "binary_cross_entropy",
        SOFT | {"pos_weight": Input(draws.pos_weights, "columns",
                                    optional=True)},
        defaults=BCE, torch=torch_bce_with_logits, torch_weight=True,
        settings=(Setting(LOGITS), Setting(LOGITS | {"pos_weight": 2.5}),
                  Setting(LOGITS, ("pos_weight",))),
        formula=bce, slopes=bce_slopes,
        why="PyTorch adds terms of the size of x: at x >= 20 its small losses "
        "have few digits left (float32: none)",
        torch_error=lambda x, o: PYTORCH_ROUNDING * (1 + x.p.abs()) *
        (1 + torch.as_tensor(pos_weight(x, o)))),
    Row("multilabel_soft_margin_loss", "binary_cross_entropy",
        {"predictions": Input(draws.logits),
         "targets": Input(draws.zero_one, whole=True)},
        defaults=BCE, semantics=("STRICT",), settings=(Setting(LOGITS),),
        torch=lambda x, o, r: F.multilabel_soft_margin_loss(
            *(a.reshape(-1, a.shape[-1] if a.ndim > 1 else 1)
              for a in (x.p, x.t)), reduction=r)),
    Row("binary_cross_entropy", "binary_cross_entropy", UNIT, defaults=BCE,
        settings=(Setting(PROBABILITIES),), torch_weight=True,
        torch=lambda x, o, r: F.binary_cross_entropy(
            x.p, x.t, weight=x.weight, reduction=r),
        slopes=bce_of_probabilities_slopes),
    Row("binary_cross_entropy, smoothed logits", "binary_cross_entropy", SOFT,
        defaults=BCE | {"pos_weight": 1.0}, formula=lambda x, o: bce(x, o),
        slopes=bce_slopes,
        settings=(Setting(LOGITS | {"label_smoothing": 0.1}),)),
    Row("binary_cross_entropy, smoothed probabilities", "binary_cross_entropy",
        UNIT, defaults=BCE, formula=bce_of_probabilities,
        slopes=bce_of_probabilities_slopes,
        settings=(Setting(PROBABILITIES | {"label_smoothing": 0.25}),)),
    Row("hinge", "hinge", SIGNS, defaults={"label_encoding": None},
        formula=lambda x, o: (1 - label(x, o) * x.p).clamp(min=0),
        terms=hinge_size),
    Row("hinge of 0 and 1", "hinge", BITS,
        settings=(Setting({"label_encoding": "ZERO_ONE"}),),
        formula=lambda x, o: (1 - label(x, o) * x.p).clamp(min=0),
        terms=hinge_size),
    Row("squared_hinge", "squared_hinge", SIGNS,
        defaults={"label_encoding": None},
        formula=lambda x, o: (1 - label(x, o) * x.p).clamp(min=0)**2,
        terms=lambda x, o: hinge_size(x, o)**2,
        slopes=lambda x, o: {"predictions": 2 * hinge_size(x, o)}),
    Row("squared_hinge of 0 and 1", "squared_hinge", BITS,
        settings=(Setting({"label_encoding": "ZERO_ONE"}),),
        formula=lambda x, o: (1 - label(x, o) * x.p).clamp(min=0)**2,
        terms=lambda x, o: hinge_size(x, o)**2,
        slopes=lambda x, o: {"predictions": 2 * hinge_size(x, o)}),
    Row("soft_margin_loss", "soft_margin", SIGNS,
        torch=lambda x, o, r: F.soft_margin_loss(x.p, x.t, reduction=r),
        formula=lambda x, o: softplus(-x.t * x.p),
        why="PyTorch takes log(1 + e^z): small losses lose their digits, and "
        "at 1000 it is infinite",
        torch_error=lambda x, o: PYTORCH_ROUNDING * (1 + x.p.abs())),
    Row("soft_margin of 0 and 1", "soft_margin", BITS,
        settings=(Setting({"label_encoding": "ZERO_ONE"}),),
        formula=lambda x, o: softplus(-label(x, o) * x.p)),
    Row("sigmoid_focal_loss", "focal", SOFT, defaults=FOCAL,
        pytorch_defaults={"alpha": 0.25}, formula=focal, terms=focal_terms,
        slopes=focal_slopes,
        settings=(Setting(LOGITS),
                  Setting(LOGITS | {"gamma": 0.0, "alpha": 0.5}),
                  Setting(LOGITS | {"gamma": 0.5}),
                  Setting(LOGITS | {"gamma": 3.5, "alpha": 0.75,
                                    "label_smoothing": 0.1}))),
    Row("focal of probabilities", "focal", UNIT, defaults=FOCAL,
        pytorch_defaults={"alpha": 0.25}, formula=focal, terms=focal_terms,
        slopes=focal_slopes,
        settings=(Setting(PROBABILITIES),
                  Setting(PROBABILITIES | {"gamma": 1.5, "alpha": 0.4}))),
    *overlap_rows("dice", dice, {"smooth": 1.0, "alpha": 0.5, "beta": 0.5},
                  ({}, {"smooth": 0.25})),
    *overlap_rows("tversky", overlap,
                  {"smooth": 1.0, "alpha": 0.5, "beta": 0.5},
                  ({}, {"alpha": 0.3, "beta": 0.7, "smooth": 2.0})),
)
