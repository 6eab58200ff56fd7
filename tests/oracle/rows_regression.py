"""Losses of real-valued targets."""

import math

import draws
import torch
import torch.nn.functional as F
from row import Input, Row, Setting

NORMAL = {"predictions": Input(draws.normal),
          "targets": Input(draws.normal)}


def log_cosh(x, o):
    size = (x.p - x.t).abs()
    near = torch.log1p(2 * torch.sinh(size.clamp(max=20) / 2)**2)
    far = size - torch.tensor(2.0).double().log() + torch.log1p(
        torch.exp(-2 * size))
    return torch.where(size < 20, near, far)


def squared_log_error(x, o):
    # A difference of two logarithms loses digits where both are large.
    d = torch.log1p((x.p - x.t).abs() / (1 + torch.minimum(x.p, x.t)))
    return d**2


def quantile(x, o):
    tau = o.quantile if x.quantiles is None else x.quantiles
    d = x.t - x.p
    return torch.where(d == 0, 0 * d, torch.where(d > 0, tau * d,
                                                  (tau - 1) * d))


def poisson_terms(x, o):
    if o.log_input:
        terms = x.p.exp() + (x.t * x.p).abs()
    else:
        # A rate near 1 is rounded before its logarithm is taken.
        terms = x.p + x.t * (1 + (x.p + o.epsilon).log().abs())
    if o.full:
        terms = terms + torch.where(
            x.t > 1, torch.xlogy(x.t, x.t) + x.t +
            (2 * torch.pi * x.t).clamp(min=1).log() / 2, 0 * x.t)
    return terms


def poisson_slopes(x, o):
    second = x.t if o.log_input else x.t / (x.p + o.epsilon)
    return {"predictions": (x.p.exp() if o.log_input else 1) + second}


def gaussian_terms(x, o):
    variance = x.variance.clamp(min=o.epsilon)
    return (variance.log().abs() + (x.p - x.t)**2 / variance) / 2 + o.full


def gaussian_slopes(x, o):
    v = x.variance.clamp(min=o.epsilon)
    return {"variance": (1 / v + (x.p - x.t)**2 / v**2) / 2}


def gaussian_of_log(x, o):
    s = x.log_variance
    # A tensor of a number is float32 by default: 2 pi would be 1e-8 off.
    constant = math.log(2 * math.pi) / 2 if o.full else 0
    return (s + (x.p - x.t)**2 * torch.exp(-s)) / 2 + constant


def exponent(x):
    # e^-s is off by the rounding of s.
    return (x.p - x.t)**2 * torch.exp(-x.log_variance) * (
        1 + x.log_variance.abs())


ROWS = (
    Row("mse_loss", "mean_squared_error", NORMAL,
        torch=lambda x, o, r: F.mse_loss(x.p, x.t, reduction=r)),
    Row("mse_loss of integers", "mean_squared_error",
        {"predictions": Input(draws.normal),
         "targets": Input(draws.integers, whole=True)},
        torch=lambda x, o, r: F.mse_loss(x.p, x.t, reduction=r)),
    Row("l1_loss", "mean_absolute_error", NORMAL,
        torch=lambda x, o, r: F.l1_loss(x.p, x.t, reduction=r)),
    Row("huber_loss", "huber", NORMAL, defaults={"delta": 1.0},
        settings=(Setting(), Setting({"delta": 0.3}), Setting({"delta": 2.5})),
        torch=lambda x, o, r: F.huber_loss(x.p, x.t, reduction=r,
                                           delta=o.delta)),
    Row("smooth_l1_loss", "smooth_l1", NORMAL, defaults={"beta": 1.0},
        settings=(Setting(), Setting({"beta": 0.3}), Setting({"beta": 2.5})),
        torch=lambda x, o, r: F.smooth_l1_loss(x.p, x.t, reduction=r,
                                               beta=o.beta)),
    # PyTorch's slope at a difference of 0 is -1 here, that of the limit is 0:
    # no torch function.
    Row("smooth_l1 of beta 0", "smooth_l1", NORMAL,
        settings=(Setting({"beta": 0.0}),),
        formula=lambda x, o: (x.p - x.t).abs()),
    Row("poisson_nll_loss of logarithms", "poisson",
        {"predictions": Input(draws.normal),
         "targets": Input(draws.counts)},
        defaults={"log_input": True, "full": False, "epsilon": 1e-8},
        settings=(Setting(), Setting({"full": True})),
        torch=lambda x, o, r: F.poisson_nll_loss(x.p, x.t, True, o.full,
                                                 reduction=r),
        terms=poisson_terms, slopes=poisson_slopes),
    Row("poisson_nll_loss of rates", "poisson",
        {"predictions": Input(draws.positive),
         "targets": Input(draws.counts)},
        defaults={"full": False, "epsilon": 1e-8},
        settings=(Setting({"log_input": False}),
                  Setting({"log_input": False, "full": True,
                           "epsilon": 0.125})),
        torch=lambda x, o, r: F.poisson_nll_loss(
            x.p, x.t, False, o.full, eps=o.epsilon, reduction=r),
        terms=poisson_terms, slopes=poisson_slopes),
    Row("gaussian_nll_loss", "gaussian_nll",
        NORMAL | {"variance": Input(draws.positive, differentiable=True)},
        defaults={"full": False, "epsilon": 1e-6},
        settings=(Setting(), Setting({"full": True}),
                  Setting({"epsilon": 0.5})),
        torch=lambda x, o, r: F.gaussian_nll_loss(
            x.p, x.t, x.variance, full=o.full, eps=o.epsilon, reduction=r),
        terms=gaussian_terms, slopes=gaussian_slopes),
    Row("gaussian_nll of log_variance", "gaussian_nll",
        NORMAL | {"log_variance": Input(draws.normal, differentiable=True)},
        defaults={"full": False},
        settings=(Setting(), Setting({"full": True})), formula=gaussian_of_log,
        terms=lambda x, o: (x.log_variance.abs() + exponent(x)) / 2 + o.full,
        slopes=lambda x, o: {
            "predictions": exponent(x) / (x.p - x.t).abs().clamp(min=1e-30),
            "log_variance": (1 + exponent(x)) / 2}),
    Row("log_cosh", "log_cosh", {"predictions": Input(draws.logits),
                                 "targets": Input(draws.normal)},
        formula=log_cosh),
    Row("mean_squared_logarithmic_error", "mean_squared_logarithmic_error",
        {"predictions": Input(draws.logarithmic),
         "targets": Input(draws.logarithmic)},
        formula=squared_log_error, ulps=8, gradient_ulps=6),
    Row("mean_absolute_percentage_error", "mean_absolute_percentage_error",
        NORMAL, defaults={"epsilon": 1e-7},
        settings=(Setting(), Setting({"epsilon": 0.75})),
        formula=lambda x, o: 100 * (x.p - x.t).abs() / x.t.abs().clamp(
            min=o.epsilon)),
    Row("quantile", "quantile",
        NORMAL | {"quantiles": Input(draws.quantiles, "columns",
                                     optional=True)},
        defaults={"quantile": 0.5},
        settings=(Setting(), Setting({"quantile": 0.9}),
                  Setting(inputs=("quantiles",))), formula=quantile),
)
