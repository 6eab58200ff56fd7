"""Losses of one of C classes."""

import draws
import torch
import torch.nn.functional as F
from math_of import labels_of, one_hot, pick, softmax, surprisal
from row import Input, Row, Setting

LABELS = Input(None, "labels")
WEIGHTS = Input(draws.class_weights, "columns", optional=True)
SPARSE = {"predictions": Input(draws.logits), "targets": LABELS,
          "class_weights": WEIGHTS}
DENSE = {"predictions": Input(draws.logits),
         "targets": Input(draws.multi_hot), "class_weights": WEIGHTS}
LOGITS = {"prediction_kind": "LOGITS"}
PROBABILITIES = {"prediction_kind": "PROBABILITIES"}
LOG_PROBABILITIES = {"prediction_kind": "LOG_PROBABILITIES"}
IGNORE = {"ignore_index": -100}
SOFTMAX = {"label_smoothing": 0.0, "z_loss": 0.0, "logit_softcap": 0.0,
           "temperature": 1.0, "tail_policy": "DROP"}
LABELLED = SOFTMAX | {"ignore_index": None}
SETTINGS = (Setting(), Setting({"label_smoothing": 0.1}),
            Setting(inputs=("class_weights",)),
            Setting({"label_smoothing": 0.3}, ("class_weights",)))


def top_k(x, o):
    """Targets of K named classes as targets of all."""
    zeros = torch.zeros_like(x.p)
    targets = zeros.scatter_add(-1, x.target_indices, x.t)
    if o.tail_policy == "RENORMALIZE":
        return targets / x.t.sum(-1, keepdim=True)
    if o.tail_policy == "UNIFORM_TAIL":
        others = (targets == 0).double()
        share = others / others.sum(-1, keepdim=True).clamp(min=1)
        return targets + (1 - x.t.sum(-1, keepdim=True)) * share
    return targets


def effective_targets(x, o, labelled):
    """After smoothing and class weights: tau."""
    if labelled:
        targets = one_hot(x)
    else:
        targets = x.t if x.target_indices is None else top_k(x, o)
    smoothing = o.label_smoothing
    tau = (1 - smoothing) * targets + smoothing / x.p.shape[-1]
    return tau if x.class_weights is None else tau * x.class_weights


def scaled(x, o):
    logits = x.p
    if o.logit_softcap:
        logits = o.logit_softcap * torch.tanh(logits / o.logit_softcap)
    return logits / o.temperature


def of_logits(labelled):
    def formula(x, o):
        logits = scaled(x, o)
        lse = logits.logsumexp(-1)
        return (effective_targets(x, o, labelled) * surprisal(logits)).sum(
            -1) + o.z_loss * lse**2

    return formula


def of_logits_terms(labelled):
    def terms(x, o):
        # What lse is the sum of may cancel.
        size = scaled(x, o).abs().max(-1).values + 1
        return of_logits(labelled)(x, o) + o.z_loss * size**2

    return terms


def of_logits_slopes(labelled):
    def slopes(x, o):
        logits = scaled(x, o)
        tau = effective_targets(x, o, labelled)
        size = logits.abs().max(-1, keepdim=True).values + 1
        mass = tau.sum(-1, keepdim=True) + 2 * o.z_loss * size
        return {"predictions": (mass * softmax(logits) + tau) / o.temperature}

    return slopes


def of_probabilities(labelled):
    def formula(x, o):
        q = x.p / x.p.sum(-1, keepdim=True) if o.semantics == "STRICT" else x.p
        return -(effective_targets(x, o, labelled) * torch.log(q)).sum(-1)

    return formula


def of_probabilities_slopes(labelled):
    def slopes(x, o):
        tau = effective_targets(x, o, labelled)
        return {"predictions": tau / x.p + tau.sum(-1, keepdim=True)}

    return slopes


def of_log_probabilities(labelled):
    return lambda x, o: -(effective_targets(x, o, labelled) * x.p).sum(-1)


def of_log_probabilities_terms(labelled):
    return lambda x, o: (effective_targets(x, o, labelled) * x.p).abs().sum(-1)


def channels(x):
    """PyTorch's classes are on axis 1."""
    return x.p.reshape(x.shape).movedim(-1, 1)


def torch_cross_entropy(x, o, reduction):
    labelled = x.t.dtype == torch.int64
    targets = (x.t.reshape(x.shape[:-1]) if labelled else
               x.t.reshape(x.shape).movedim(-1, 1))
    ignored = {} if not labelled else {
        "ignore_index": -100 if o.ignore_index is None else o.ignore_index}
    return F.cross_entropy(channels(x), targets, weight=x.class_weights,
                           reduction=reduction, **ignored,
                           label_smoothing=o.label_smoothing).reshape(
                               (-1,) if reduction == "none" else ())


def torch_nll(x, o, reduction):
    return F.nll_loss(channels(x), x.t.reshape(x.shape[:-1]),
                      weight=x.class_weights, ignore_index=o.ignore_index,
                      reduction=reduction).reshape(
                          (-1,) if reduction == "none" else ())


def softmax_error(x, o):
    """PyTorch subtracts x from log sum exp x: units of float64 of these."""
    size = x.p.abs().max(-1).values + 8
    targets = x.p.shape[-1] if x.t.dtype != torch.int64 else 1
    return 2.0**-50 * size * targets


def weight_of_label(x, o):
    return x.class_weights[labels_of(x)]


def weight_of_targets(x, o):
    return (x.class_weights * x.t).sum(-1)


def multi_margin_sizes(x, o):
    own = pick(x.p, x.t).abs().unsqueeze(-1)
    others = 1 - one_hot(x)
    weight = 1 if x.class_weights is None else weight_of_label(
        x, o).unsqueeze(-1)
    return (abs(o.margin) + own + x.p.abs()) * others, weight / x.p.shape[-1]


def multi_margin_terms(x, o):
    sizes, factor = multi_margin_sizes(x, o)
    return (factor * sizes**o.p).sum(-1)


def multi_margin_slopes(x, o):
    sizes, factor = multi_margin_sizes(x, o)
    each = factor * o.p * (sizes**(o.p - 1)) * (1 - one_hot(x))
    return {"predictions": each + one_hot(x) * each.sum(-1, keepdim=True)}


def categorical_hinge(x, o):
    best = ((1 - x.t) * x.p).amax(-1)
    return (1 + best - (x.t * x.p).sum(-1)).clamp(min=0)


def multiclass_hinge(x, o):
    return (x.p + 1 - one_hot(x)).amax(-1) - pick(x.p, x.t)


def hinge_size(x, o):
    return 1 + 2 * x.p.abs().max(-1).values


def focal_parts(x, o):
    t = (1 - o.label_smoothing) * x.t + o.label_smoothing / x.p.shape[-1]
    if o.prediction_kind == "LOGITS":
        s = surprisal(x.p)
    else:
        s = -torch.log(x.p / x.p.sum(-1, keepdim=True))
    # A single class is certain: 0, and not 0^(gamma - 1) times 0.
    return t, torch.where(s > 0, s, 1.0), (s > 0).double()


def categorical_focal(x, o):
    t, s, uncertain = focal_parts(x, o)
    return (o.alpha * uncertain * t * (-torch.expm1(-s))**o.gamma * s).sum(-1)


def categorical_focal_slopes(x, o):
    t, s, uncertain = focal_parts(x, o)
    q, miss = torch.exp(-s), -torch.expm1(-s)
    v = o.alpha * uncertain * t * (o.gamma * q * miss**(o.gamma - 1) * s +
                                   miss**o.gamma)
    if o.prediction_kind == "LOGITS":
        return {"predictions": v + q * v.sum(-1, keepdim=True)}
    return {"predictions": v / q + v.sum(-1, keepdim=True)}


EXACT = ("PyTorch subtracts numbers of the size of the logits: the small "
         "losses of confident rows lose their digits")
TOP_K = {"predictions": Input(draws.logits),
         "target_indices": Input(None, "top_k_labels"),
         "targets": Input(draws.few_weights, "top_k"),
         "class_weights": WEIGHTS}
CCE, SCCE = "categorical_cross_entropy", "sparse_categorical_cross_entropy"
DISTRIBUTION = Input(draws.distribution)
LOGARITHMS = Input(draws.log_distribution)


def cross_entropy(name, labelled, inputs, more, **others):
    return Row(name, SCCE if labelled else CCE, inputs, layout="rows",
               defaults=LABELLED if labelled else SOFTMAX,
               strict_options=more | (IGNORE if labelled else {}),
               class_weight=weight_of_label if labelled else weight_of_targets,
               **others)


ROWS = (
    *(cross_entropy(
        f"cross_entropy of {'labels' if labelled else 'distributions'}",
        labelled, SPARSE if labelled else DENSE, LOGITS,
        settings=SETTINGS + (
            (Setting({"ignore_index": 0}),) if labelled else ()),
        torch=torch_cross_entropy, formula=of_logits(labelled), why=EXACT,
        torch_error=softmax_error, slopes=of_logits_slopes(labelled))
      for labelled in (True, False)),
    *(cross_entropy(
        f"{SCCE if labelled else CCE}, more of logits", labelled,
        SPARSE if labelled else DENSE, LOGITS,
        settings=(Setting({"z_loss": 0.01}),
                  Setting({"logit_softcap": 5.0}),
                  Setting({"temperature": 2.5}),
                  Setting({"z_loss": 0.125, "temperature": 0.5,
                           "logit_softcap": 8.0, "label_smoothing": 0.1},
                          ("class_weights",))),
        formula=of_logits(labelled), terms=of_logits_terms(labelled),
        slopes=of_logits_slopes(labelled))
      for labelled in (True, False)),
    *(cross_entropy(
        f"{SCCE if labelled else CCE} of probabilities", labelled,
        (SPARSE if labelled else DENSE) | {"predictions": DISTRIBUTION},
        PROBABILITIES, double=True,
        settings=tuple(Setting(PROBABILITIES | s.options, s.inputs)
                       for s in SETTINGS),
        formula=of_probabilities(labelled),
        slopes=of_probabilities_slopes(labelled))
      for labelled in (True, False)),
    *(cross_entropy(
        f"{SCCE if labelled else CCE} of log-probabilities", labelled,
        (SPARSE if labelled else DENSE) | {"predictions": LOGARITHMS},
        LOG_PROBABILITIES,
        settings=tuple(Setting(LOG_PROBABILITIES | s.options, s.inputs)
                       for s in SETTINGS),
        formula=of_log_probabilities(labelled),
        terms=of_log_probabilities_terms(labelled))
      for labelled in (True, False)),
    Row("categorical_cross_entropy of top-k targets", CCE, TOP_K,
        layout="rows", defaults=SOFTMAX, strict_options=LOGITS,
        settings=(Setting(), Setting({"tail_policy": "RENORMALIZE"}),
                  Setting({"tail_policy": "UNIFORM_TAIL"})),
        formula=of_logits(False), slopes=of_logits_slopes(False)),
    Row("nll_loss", "nll", SPARSE | {"predictions": LOGARITHMS},
        layout="rows", defaults={"ignore_index": None}, strict_options=IGNORE,
        settings=(Setting(), Setting(inputs=("class_weights",)),
                  Setting({"ignore_index": 0})),
        torch=torch_nll, class_weight=weight_of_label),
    Row("multi_margin_loss", "multi_margin", SPARSE, layout="rows",
        defaults={"p": 1, "margin": 1.0}, torch_mean="MEAN",
        uninitialized_when_empty=True,
        settings=(Setting(), Setting({"p": 2}), Setting({"margin": 0.25}),
                  Setting({"p": 2, "margin": -0.5}, ("class_weights",)),
                  Setting(inputs=("class_weights",))),
        torch=lambda x, o, r: F.multi_margin_loss(
            x.p, x.t, o.p, o.margin, x.class_weights, reduction=r),
        terms=multi_margin_terms, slopes=multi_margin_slopes,
        class_weight=weight_of_label),
    Row("categorical_hinge", "categorical_hinge",
        {"predictions": Input(draws.logits),
         "targets": Input(draws.one_hot, whole=True)},
        layout="rows", formula=categorical_hinge, terms=hinge_size),
    Row("multiclass_hinge", "multiclass_hinge",
        {"predictions": Input(draws.logits), "targets": LABELS},
        layout="rows", formula=multiclass_hinge, terms=hinge_size),
    *(Row(f"categorical_focal of {kind['prediction_kind'].lower()}",
          "categorical_focal", {"predictions": predictions,
                                "targets": Input(draws.soft_rows)},
          semantics=semantics, layout="rows",
          defaults={"gamma": 2.0, "alpha": 1.0, "label_smoothing": 0.0},
          settings=tuple(Setting(kind | options) for options in (
              {}, {"gamma": 0.5}, {"gamma": 0.0, "alpha": 0.25},
              {"gamma": 3.5, "label_smoothing": 0.1})),
          formula=categorical_focal, slopes=categorical_focal_slopes)
      # PYTORCH takes probabilities as given.
      for kind, predictions, semantics in (
          (LOGITS, Input(draws.logits), ("PYTORCH", "STRICT")),
          (PROBABILITIES, DISTRIBUTION, ("STRICT",)))),
)
