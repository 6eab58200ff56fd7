"""Losses of policies and preferences.

Each is a row of log-probabilities and one of logits, whose log-probability of
the token that was taken is l.
"""

import draws
import torch
from math_of import labels_of, one_hot, pick, softmax, softplus, surprisal
from row import Input, Row, Setting


def log_probability(x):
    """l, and what errors of it are proportional to."""
    if x.t is None:
        return x.p, x.p.abs()
    l = -pick(surprisal(x.p), labels_of(x))
    return l, l.abs()


def ratio(x):
    l, _ = log_probability(x)
    return torch.exp(l - x.old_log_probabilities)


def token_cross_entropy(x, o):
    return -x.weights * log_probability(x)[0]


def importance_sampling(x, o):
    return -ratio(x) * x.advantages


def ppo(x, o):
    rho, a = ratio(x), x.advantages
    # PyTorch's min of equals gives each half of the gradient; whoever is
    # inside the bounds has all of it.
    clipped = torch.where((a >= 0) & (rho > o.clip_high),
                          rho.detach().clamp(max=o.clip_high), rho)
    return -a * torch.where((a < 0) & (rho < o.clip_low),
                            rho.detach().clamp(min=o.clip_low), clipped)


def cispo(x, o):
    weight = ratio(x).detach().clamp(o.clip_low, o.clip_high)
    return -weight * x.advantages * log_probability(x)[0]


def dro(x, o):
    l, _ = log_probability(x)
    penalty = (l - x.old_log_probabilities)**2 / 2
    return -(x.advantages * l - o.beta * penalty)


def dro_terms(x, o):
    l, _ = log_probability(x)
    far = l.abs() + x.old_log_probabilities.abs()
    return (x.advantages * l).abs() + o.beta * far**2


def k3(x, o):
    d = x.reference_log_probabilities - log_probability(x)[0]
    return torch.expm1(d) - d


def k3_terms(x, o):
    l, size = log_probability(x)
    d = x.reference_log_probabilities - l
    return (torch.exp(d) * (1 + size + d.abs()) + d.abs() + size)


def ratio_terms(loss):
    """A ratio is off by the rounding of its exponent."""
    def terms(x, o):
        l, size = log_probability(x)
        return loss(x, o).abs() * (1 + size + x.old_log_probabilities.abs())

    return terms


def token_slopes(size_of):
    """From sizes of d/dl, those of d/dx where there are logits."""
    def slopes(x, o):
        size = size_of(x, o)
        if x.t is not None:
            size = size.unsqueeze(-1) * (softmax(x.p) + one_hot(x))
        return {"predictions": size}

    return slopes


def ratio_size(x, o):
    l, size = log_probability(x)
    return (ratio(x) * x.advantages).abs() * (
        1 + size + x.old_log_probabilities.abs())


def dpo_difference(x, o):
    return o.beta * ((x.p - x.reference_chosen_log_probabilities) -
                     (x.rejected_log_probabilities -
                      x.reference_rejected_log_probabilities))


def dpo(x, o):
    h, e = dpo_difference(x, o), o.label_smoothing
    if o.robust:
        return ((1 - e) * softplus(-h) - e * softplus(h)) / (1 - 2 * e)
    return (1 - e) * softplus(-h) + e * softplus(h)


def dpo_rounding(x, o):
    return o.beta * (x.p.abs() + x.rejected_log_probabilities.abs() +
                     x.reference_chosen_log_probabilities.abs() +
                     x.reference_rejected_log_probabilities.abs())


def dpo_terms(x, o):
    h, e = dpo_difference(x, o), o.label_smoothing
    scale = 1 / (1 - 2 * e) if o.robust else 1
    return scale * (softplus(-h) + e * softplus(h) + dpo_rounding(x, o))


def dpo_slopes(x, o):
    h, e = dpo_difference(x, o), o.label_smoothing
    scale = o.beta / (1 - 2 * e) if o.robust else o.beta
    size = scale * ((1 - e) * torch.sigmoid(-h) + e * torch.sigmoid(h)) * (
        1 + dpo_rounding(x, o))
    return {"predictions": size, "rejected_log_probabilities": size}


TOKENS = Input(draws.log_probabilities, "rows")
AGED = {"old_log_probabilities": TOKENS,
        "advantages": Input(draws.token_weights, "rows")}


def policy(loss, inputs, settings, defaults, **others):
    """The two rows of a loss."""
    yield Row(loss, loss, {"predictions": Input(draws.log_probabilities)} |
              inputs, layout="tokens", defaults=defaults,
              settings=tuple(map(Setting, settings)), **others)
    kind = {"prediction_kind": "LOGITS"}
    yield Row(f"{loss} of logits", loss,
              {"predictions": Input(draws.normal),
               "targets": Input(None, "labels")} | inputs,
              layout="rows", defaults=defaults,
              settings=tuple(Setting(kind | o) for o in settings), **others)


BOUNDS = ({}, {"clip_low": 0.5, "clip_high": 1.5})
ANSWERS = Input(draws.log_probabilities)
ROWS = (
    *policy("token_cross_entropy",
            {"weights": Input(draws.token_weights, "rows")}, ({},), {},
            formula=token_cross_entropy,
            slopes=token_slopes(lambda x, o: x.weights.abs())),
    *policy("importance_sampling", AGED, ({},), {},
            formula=importance_sampling,
            terms=ratio_terms(importance_sampling),
            slopes=token_slopes(ratio_size)),
    *policy("ppo", AGED, BOUNDS, {"clip_low": 0.8, "clip_high": 1.2},
            formula=ppo, terms=ratio_terms(ppo),
            slopes=token_slopes(ratio_size)),
    *policy("cispo", AGED, BOUNDS, {"clip_low": 0.0, "clip_high": 4.0},
            formula=cispo, terms=ratio_terms(cispo), surrogate=True,
            slopes=token_slopes(ratio_size)),
    *policy("dro", AGED, ({"beta": 0.1}, {"beta": 2.5}), {}, formula=dro,
            terms=dro_terms, slopes=token_slopes(
                lambda x, o: x.advantages.abs() + o.beta *
                (log_probability(x)[1] + x.old_log_probabilities.abs()))),
    *policy("k3_divergence", {"reference_log_probabilities": TOKENS}, ({},),
            {}, formula=k3, terms=k3_terms, slopes=token_slopes(k3_terms)),
    Row("dpo", "dpo",
        {"predictions": ANSWERS, "rejected_log_probabilities":
         Input(draws.log_probabilities, differentiable=True),
         "reference_chosen_log_probabilities": ANSWERS,
         "reference_rejected_log_probabilities": ANSWERS}, layout="tokens",
        defaults={"beta": 0.1, "label_smoothing": 0.0, "robust": False},
        settings=tuple(map(Setting, (
            {}, {"beta": 2.0}, {"label_smoothing": 0.1},
            {"label_smoothing": 0.25, "robust": True}))),
        formula=dpo, terms=dpo_terms, slopes=dpo_slopes),
)
