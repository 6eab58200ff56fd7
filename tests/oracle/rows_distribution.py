"""Losses of whole distributions."""

import draws
import torch
import torch.nn.functional as F
from math_of import softmax, surprisal
from row import Input, Row, Setting

KLD = "kullback_leibler_divergence"
LOG_PROBABILITIES = {"prediction_kind": "LOG_PROBABILITIES"}
LOG_TARGETS = {"target_kind": "LOG_PROBABILITIES"}


def torch_kl_div(x, o, reduction):
    return F.kl_div(x.p.reshape(x.shape), x.t.reshape(x.shape),
                    reduction=reduction,
                    log_target=o.target_kind == "LOG_PROBABILITIES")


def target_mass(x, o):
    return x.t.exp() if o.target_kind == "LOG_PROBABILITIES" else x.t


def divergence_of(minus_log):
    """Sum of t (log t - log q), from -log q."""
    def formula(x, o):
        t, theta = target_mass(x, o), o.temperature
        own = t * x.t if o.target_kind == "LOG_PROBABILITIES" else (
            torch.xlogy(t, t))
        factor = theta**2 if o.temperature_squared else 1
        return factor * (own + t * minus_log(x, o)).sum(-1)

    return formula


def terms_of(minus_log):
    def terms(x, o):
        t, theta = target_mass(x, o), o.temperature
        factor = theta**2 if o.temperature_squared else 1
        return factor * (torch.xlogy(t, t).abs() +
                         (t * minus_log(x, o)).abs()).sum(-1)

    return terms


def logit_slopes(x, o):
    t = target_mass(x, o)
    factor = o.temperature if o.temperature_squared else 1 / o.temperature
    return {"predictions": factor * (t + softmax(x.p / o.temperature) *
                                     t.sum(-1, keepdim=True))}


def minus_log_softmax(x, o):
    return surprisal(x.p / o.temperature)


def centred(s, d):
    """q (d - the mean of d under q), q = exp(-s), what the gradient of a mean
    under the softmax is.

    Autograd's has terms of the size of q, which cancel; where q is near 1 and
    d near 0 nothing but their rounding would be left. So d - q d is taken as
    (1 - q) d, and the own class is left out of the mean, not subtracted.
    """
    q = torch.exp(-s)
    each = q * d
    largest = s.argmin(-1, keepdim=True)
    small = each.scatter(-1, largest, 0.0)
    others = (small.sum(-1, keepdim=True) - small +
              each.gather(-1, largest)).scatter(
                  -1, largest, small.sum(-1, keepdim=True))
    return q * (-torch.expm1(-s) * d - others)


def with_gradient(value, p, gradient):
    """The value, with this gradient instead of autograd's."""
    linear = (p * gradient.detach()).sum(-1)
    return value.detach() + (linear - linear.detach())


def distillation(x, o):
    s, u, factor = distillation_parts(x, o)
    if not o.reverse:
        return factor * (torch.exp(-u) * (s - u)).sum(-1)
    return with_gradient(factor * (torch.exp(-s) * (u - s)).sum(-1), x.p,
                         factor / o.temperature * centred(s, u - s))


def distillation_parts(x, o):
    theta = o.temperature
    s, u = surprisal(x.p / theta), surprisal(x.t / theta)
    return s, u, theta**2 if o.temperature_squared else 1


def distillation_terms(x, o):
    s, u, factor = distillation_parts(x, o)
    mass = torch.exp(-s if o.reverse else -u)
    return factor * (mass * (s + u)).sum(-1)


def distillation_slopes(x, o):
    s, u, factor = distillation_parts(x, o)
    q = torch.exp(-s)
    size = q * (s + u + (q * (s + u)).sum(-1, keepdim=True)) if o.reverse else (
        q + torch.exp(-u))
    return {"predictions": factor / o.temperature * size}


def jensen_shannon_parts(x, o):
    log_t = -surprisal(x.t / o.teacher_temperature)
    log_q = -surprisal(x.p / o.student_temperature)
    beta = torch.tensor(o.beta).double()
    log_m = torch.logaddexp(beta.log() + log_t, (1 - beta).log() + log_q)
    return log_t, log_q, log_m


def jensen_shannon(x, o):
    # Not by log m: it is off by the rounding of numbers near 1, which is all
    # that is left where m is near 1 (of a single class: not even 0).
    log_t, log_q, _ = jensen_shannon_parts(x, o)
    d = log_q - log_t
    t_to_m = -torch.log1p((1 - o.beta) * torch.expm1(d))
    q_to_m = -torch.log1p(o.beta * torch.expm1(-d))
    value = (o.beta * log_t.exp() * t_to_m +
             (1 - o.beta) * log_q.exp() * q_to_m).sum(-1)
    return with_gradient(value, x.p, (1 - o.beta) / o.student_temperature *
                         centred(-log_q, q_to_m))


def jensen_shannon_terms(x, o):
    log_t, log_q, log_m = jensen_shannon_parts(x, o)
    return (o.beta * log_t.exp() * (log_t.abs() + log_m.abs()) +
            (1 - o.beta) * log_q.exp() * (log_q.abs() + log_m.abs())).sum(-1)


def jensen_shannon_slopes(x, o):
    _, log_q, log_m = jensen_shannon_parts(x, o)
    q, size = log_q.exp(), (1 - o.beta) * (log_q.abs() + log_m.abs())
    return {"predictions": q * (size + (q * size).sum(-1, keepdim=True)) /
            o.student_temperature}


def prior(x):
    zero = torch.zeros_like(x.p)
    return (zero if x.prior_mean is None else x.prior_mean,
            zero if x.prior_log_variance is None else x.prior_log_variance)


def gaussian_kl_elements(x, size):
    mean, u = prior(x)
    d = x.log_variance - u
    if size:
        return ((x.p - mean)**2 * torch.exp(-u) * (1 + u.abs()) +
                torch.expm1(d).abs() * (1 + d.abs()) + d.abs()) / 2
    return ((x.p - mean)**2 * torch.exp(-u) + torch.expm1(d) - d) / 2


def gaussian_kl_slopes(x, o):
    mean, u = prior(x)
    d = x.log_variance - u
    return {"predictions": (x.p - mean).abs() * torch.exp(-u) * (1 + u.abs()),
            "log_variance": torch.expm1(d).abs() * (1 + d.abs()) / 2}


LOGIT_PAIRS = {"predictions": Input(draws.logits),
               "targets": Input(draws.logits)}
DIVERGENCE = {"temperature": 1.0, "temperature_squared": True,
              "target_kind": None}
TEMPERATURES = ({}, {"temperature": 2.5},
                {"temperature": 0.75, "temperature_squared": False})

ROWS = (
    *(Row(f"kl_div of {name}", KLD,
          {"predictions": Input(draws.log_distribution),
           "targets": Input(draw)},
          layout="rows", mean_over_elements=True, double=True,
          defaults=DIVERGENCE, strict_options=LOG_PROBABILITIES,
          settings=(Setting(options),), torch=torch_kl_div,
          torch_reductions=("none", "sum", "mean", "batchmean"),
          why="rows are sums over classes, which PyTorch does not have; and "
          "terms without target mass are 0, where PyTorch has NaN for -inf",
          formula=divergence_of(lambda x, o: -x.p),
          terms=terms_of(lambda x, o: -x.p))
      for name, draw, options in (
          ("probabilities", draws.soft_rows, {}),
          ("log-probabilities", draws.log_distribution, LOG_TARGETS))),
    *(Row(f"{KLD} of logits, {name}", KLD,
          {"predictions": Input(draws.logits), "targets": Input(draw)},
          layout="rows", mean_over_elements=True, double=True,
          defaults=DIVERGENCE,
          settings=tuple(Setting({"prediction_kind": "LOGITS"} | options | o)
                         for o in TEMPERATURES),
          formula=divergence_of(minus_log_softmax),
          terms=terms_of(minus_log_softmax), slopes=logit_slopes)
      for name, draw, options in (
          ("probabilities", draws.soft_rows, {}),
          ("log-probabilities", draws.log_distribution, LOG_TARGETS))),
    Row(f"{KLD} of probabilities", KLD,
        {"predictions": Input(draws.distribution),
         "targets": Input(draws.soft_rows)},
        layout="rows", mean_over_elements=True, double=True,
        defaults=DIVERGENCE,
        settings=(Setting({"prediction_kind": "PROBABILITIES"}),),
        formula=divergence_of(lambda x, o: -torch.log(x.p)),
        terms=terms_of(lambda x, o: -torch.log(x.p))),
    Row("distillation_divergence", "distillation_divergence", LOGIT_PAIRS,
        layout="rows", defaults=DIVERGENCE | {"reverse": False},
        settings=tuple(Setting(options | reverse) for options in TEMPERATURES
                       for reverse in ({}, {"reverse": True})),
        formula=distillation, terms=distillation_terms,
        slopes=distillation_slopes),
    Row("jensen_shannon_divergence", "jensen_shannon_divergence", LOGIT_PAIRS,
        layout="rows", defaults={"beta": 0.5, "teacher_temperature": 1.0,
                                 "student_temperature": 1.0},
        settings=(Setting(), Setting({"beta": 0.1}),
                  Setting({"beta": 0.75, "teacher_temperature": 2.0,
                           "student_temperature": 0.5})),
        formula=jensen_shannon, terms=jensen_shannon_terms,
        slopes=jensen_shannon_slopes),
    Row("gaussian_kl", "gaussian_kl",
        {"predictions": Input(draws.normal),
         "log_variance": Input(draws.normal, differentiable=True),
         "prior_mean": Input(draws.normal, optional=True),
         "prior_log_variance": Input(draws.normal, optional=True)},
        layout="vectors",
        settings=(Setting(), Setting(inputs=("prior_mean",)),
                  Setting(inputs=("prior_mean", "prior_log_variance"))),
        formula=lambda x, o: gaussian_kl_elements(x, False).sum(-1),
        terms=lambda x, o: gaussian_kl_elements(x, True).sum(-1),
        slopes=gaussian_kl_slopes),
)
