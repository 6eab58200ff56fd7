"""Rows of the table of accuracy: cases of tests/support, and what PyTorch has.

A function of a row takes the inputs by name as tensors of the dtype: p and t
for predictions and targets, labels, and extra inputs under their own names. It
returns the losses of the rows.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch.nn import functional as F


@dataclasses.dataclass(frozen=True)
class Row:
    case: str
    torch: Callable | None = None
    # Whether terms of both signs add up to the row loss, and to a slope.
    loss_cancels: bool = False
    slope_cancels: bool = False


def of(function, **options):
    """A loss of predictions and targets."""
    return lambda x: function(x.p, x.t, reduction="none", **options)


def of_labels(function, **options):
    return lambda x: function(x.p, x.labels, reduction="none", **options)


def pos_weighted(x):
    return F.binary_cross_entropy_with_logits(
        x.p, x.t, pos_weight=torch.tensor(3, dtype=x.p.dtype),
        reduction="none")


def divergence(log_target=False):
    return lambda x: F.kl_div(x.p, x.t, reduction="none",
                              log_target=log_target).sum(-1)


def divergence_of_logits(x):
    return F.kl_div(F.log_softmax(x.p, -1), x.t, reduction="none").sum(-1)


def gaussian(**options):
    return lambda x: F.gaussian_nll_loss(x.p, x.t, x.variance,
                                         reduction="none", **options)


def cosine(x):
    return 1 - F.cosine_similarity(x.p, x.t, -1, 1e-6)


def cosine_embedding(x):
    return F.cosine_embedding_loss(x.p, x.other_predictions, x.t,
                                   reduction="none")


def margin_ranking(x):
    return F.margin_ranking_loss(x.p, x.other_predictions, x.t,
                                 reduction="none")


def triplet(x):
    return F.triplet_margin_loss(x.p, x.positive, x.negative,
                                 reduction="none")


BCE = F.binary_cross_entropy
LOGITS = F.binary_cross_entropy_with_logits

ROWS = (
    Row("mse", of(F.mse_loss)),
    Row("mse_wide", of(F.mse_loss)),
    Row("msle"),
    Row("mae", of(F.l1_loss)),
    Row("mae_wide", of(F.l1_loss)),
    Row("huber", of(F.huber_loss)),
    Row("smooth_l1", of(F.smooth_l1_loss)),
    Row("smooth_l1_wide", of(F.smooth_l1_loss)),
    Row("log_cosh"),
    Row("mape"),
    Row("quantile_high"),
    Row("poisson", of(F.poisson_nll_loss), True, True),
    Row("poisson_wide", of(F.poisson_nll_loss), True, True),
    Row("poisson_full", of(F.poisson_nll_loss, full=True), True, True),
    Row("poisson_rates", of(F.poisson_nll_loss, log_input=False), True, True),
    Row("gaussian_nll_variance", gaussian(), True, True),
    Row("gaussian_nll_variance_wide", gaussian(eps=1e-10), True, True),
    Row("gaussian_nll_log_variance", None, True, True),
    Row("bce_logits", of(LOGITS)),
    Row("bce_logits_wide", of(LOGITS)),
    Row("bce_logits_soft", of(LOGITS), slope_cancels=True),
    Row("bce_logits_pos_weight", pos_weighted),
    Row("bce_probabilities", of(BCE)),
    Row("bce_probabilities_wide", of(BCE)),
    Row("hinge"),
    Row("squared_hinge"),
    Row("soft_margin", of(F.soft_margin_loss)),
    Row("soft_margin_wide", of(F.soft_margin_loss)),
    Row("focal"),
    Row("dice_logits"),
    Row("tversky_logits"),
    Row("cce_logits", of(F.cross_entropy)),
    Row("cce_logits_confident", of(F.cross_entropy)),
    Row("cce_logits_soft", of(F.cross_entropy), slope_cancels=True),
    Row("scce_logits", of_labels(F.cross_entropy)),
    Row("scce_logits_confident", of_labels(F.cross_entropy)),
    Row("nll", of_labels(F.nll_loss)),
    Row("cfocal_logits"),
    Row("categorical_hinge"),
    Row("multi_margin", of_labels(F.multi_margin_loss)),
    Row("multi_margin_squared", of_labels(F.multi_margin_loss, p=2),
        slope_cancels=True),
    Row("multiclass_hinge"),
    Row("kld_logits", divergence_of_logits, True, True),
    Row("kld_log_probabilities", divergence(), True),
    Row("kld_log_probabilities_log_targets", divergence(True), True),
    Row("distillation", slope_cancels=True),
    Row("distillation_reverse", slope_cancels=True),
    Row("distillation_reverse_confident", slope_cancels=True),
    Row("jensen_shannon", slope_cancels=True),
    Row("jensen_shannon_confident", slope_cancels=True),
    Row("gaussian_kl"),
    Row("cosine", cosine, slope_cancels=True),
    Row("cosine_nearly_equal", cosine, slope_cancels=True),
    Row("cosine_embedding", cosine_embedding, True, True),
    Row("triplet", triplet, True, True),
    Row("margin_ranking", margin_ranking),
    Row("hinge_embedding", of(F.hinge_embedding_loss)),
    Row("token_cross_entropy"),
    Row("token_cross_entropy_logits"),
    Row("importance_sampling"),
    Row("importance_sampling_logits"),
    Row("ppo"),
    Row("cispo"),
    Row("dro", None, True, True),
    Row("k3_divergence"),
    Row("k3_divergence_logits", None, True, True),
    Row("dpo"),
)
