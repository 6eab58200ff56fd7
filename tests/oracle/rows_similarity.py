"""Losses of distances, angles and scores."""

import draws
import torch
import torch.nn.functional as F
from row import Input, Row, Setting

SIGNS = Input(draws.signs, whole=True)
VECTORS = Input(draws.vectors, differentiable=True)


def cosine_parts(p, other, epsilon=1e-12):
    norms = [torch.sqrt((a * a).sum(-1, keepdim=True).clamp(min=epsilon))
             for a in (p, other)]
    return (p * other).sum(-1, keepdim=True) / (norms[0] * norms[1]), *norms


def cosine_size(p, other):
    _, a, b = cosine_parts(p, other)
    return 1 + ((p * other).abs() / (a * b)).sum(-1)


def cosine_slopes(x, other):
    c, a, b = cosine_parts(x.p, other)
    return {"predictions": other.abs() / (a * b) + (c * x.p).abs() / a**2,
            "other_predictions": x.p.abs() / (a * b) +
            (c * other).abs() / b**2}


def cosine_embedding(x, o):
    if o.semantics == "PYTORCH":
        return F.cosine_embedding_loss(x.p, x.other_predictions, x.t, o.margin,
                                       reduction="none")
    c = cosine_parts(x.p, x.other_predictions)[0].squeeze(-1)
    return torch.where(x.t > 0, 1 - c, (c - o.margin).clamp(min=0))


def triplet(x, o, reduction):
    return F.triplet_margin_loss(x.p, x.positive, x.negative, o.margin, o.p,
                                 o.epsilon, o.swap, reduction=reduction)


def distances(x, o):
    pairs = [(x.p, x.positive), (x.p, x.negative), (x.positive, x.negative)]
    differences = [a - b + o.epsilon for a, b in pairs]
    return differences, [torch.norm(d, o.p, -1, True) for d in differences]


def triplet_terms(x, o):
    return sum(distances(x, o)[1]).squeeze(-1) + o.margin


def triplet_slopes(x, o):
    size = sum((d.abs() / n.clamp(min=1e-30))**(o.p - 1)
               for d, n in zip(*distances(x, o), strict=True))
    return {name: size for name in ("predictions", "positive", "negative")}


TRIPLET = {"predictions": Input(draws.normal),
           "positive": Input(draws.normal, differentiable=True),
           "negative": Input(draws.normal, differentiable=True)}
TRIPLET_DEFAULTS = {"margin": 1.0, "p": 2.0, "epsilon": 1e-6, "swap": False}

ROWS = (
    Row("cosine_similarity", "cosine",
        {"predictions": Input(draws.vectors), "targets": Input(draws.vectors)},
        layout="rows", torch_reductions=("none",),
        torch=lambda x, o, r: 1 - F.cosine_similarity(x.p, x.t, -1, 1e-6),
        terms=lambda x, o: cosine_size(x.p, x.t),
        slopes=lambda x, o: {
            "predictions": cosine_slopes(x, x.t)["predictions"]}),
    Row("cosine with a floor", "cosine",
        {"predictions": Input(draws.vectors), "targets": Input(draws.vectors)},
        layout="rows", settings=(Setting({"epsilon": 9.0}),),
        formula=lambda x, o: 1 - cosine_parts(
            x.p, x.t, o.epsilon)[0].squeeze(-1),
        terms=lambda x, o: cosine_size(x.p, x.t),
        slopes=lambda x, o: {
            "predictions": cosine_slopes(x, x.t)["predictions"]}),
    Row("cosine_embedding_loss", "cosine_embedding",
        {"predictions": VECTORS, "other_predictions": VECTORS,
         "targets": Input(draws.signs, "rows", whole=True)},
        layout="rows", defaults={"margin": 0.0},
        settings=(Setting(), Setting({"margin": 0.5}),
                  Setting({"margin": -0.25})),
        torch=lambda x, o, r: F.cosine_embedding_loss(
            x.p, x.other_predictions, x.t, o.margin, reduction=r),
        formula=cosine_embedding,
        why="with STRICT the squared norms have a floor; PyTorch, and lossd "
        "with PYTORCH, add 1e-12 to them",
        terms=lambda x, o: cosine_size(x.p, x.other_predictions) +
        abs(o.margin), slopes=lambda x, o: cosine_slopes(
            x, x.other_predictions)),
    # No grid: with these options a loss that is 0 before the clamp is not
    # computed exactly (epsilon is no multiple of a power of 2, or roots are
    # taken), and its rounding decides whether there is a gradient.
    Row("triplet_margin_loss", "triplet", TRIPLET, layout="rows",
        defaults=TRIPLET_DEFAULTS, torch=triplet, terms=triplet_terms,
        slopes=triplet_slopes, grid=False,
        settings=(Setting(), Setting({"margin": 0.25, "p": 1.0}),
                  Setting({"p": 3.0, "epsilon": 0.125}))),
    # Sums of multiples of 1/4: the kink is hit, and PyTorch's gradient passes.
    Row("triplet_margin_loss of exact distances", "triplet", TRIPLET,
        layout="rows", defaults=TRIPLET_DEFAULTS, torch=triplet,
        terms=triplet_terms, slopes=triplet_slopes,
        settings=(Setting({"p": 1.0, "epsilon": 0.0}),)),
    # Of equal distances PyTorch gives each half of the gradient.
    Row("triplet_margin_loss with swap", "triplet", TRIPLET, layout="rows",
        defaults=TRIPLET_DEFAULTS, torch=triplet, terms=triplet_terms,
        slopes=triplet_slopes, grid=False,
        settings=(Setting({"swap": True}),
                  Setting({"swap": True, "margin": 2.0, "p": 1.5}))),
    Row("margin_ranking_loss", "margin_ranking",
        {"predictions": Input(draws.normal),
         "other_predictions": Input(draws.normal, differentiable=True),
         "targets": SIGNS}, defaults={"margin": 0.0},
        settings=(Setting(), Setting({"margin": 0.5}),
                  Setting({"margin": -0.25})),
        torch=lambda x, o, r: F.margin_ranking_loss(
            x.p, x.other_predictions, x.t, o.margin, reduction=r),
        terms=lambda x, o: x.p.abs() + x.other_predictions.abs() +
        abs(o.margin)),
    Row("hinge_embedding_loss", "hinge_embedding",
        {"predictions": Input(draws.normal), "targets": SIGNS},
        defaults={"margin": 1.0},
        settings=(Setting(), Setting({"margin": 0.25})),
        torch=lambda x, o, r: F.hinge_embedding_loss(
            x.p, x.t, o.margin, reduction=r),
        terms=lambda x, o: x.p.abs() + abs(o.margin)),
)
