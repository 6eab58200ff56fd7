#ifndef LOSSD_LIB_LOSSES_GAUSSIAN_NLL_H_
#define LOSSD_LIB_LOSSES_GAUSSIAN_NLL_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Negative log-likelihood under Gaussians of predicted mean and variance.
//
//   r = prediction - target
//   variance:      v = max(variance, epsilon)
//                  value             = (log v + r^2 / v) / 2
//                  slope             = r / v
//                  slope of variance = (1 / v - r^2 / v^2) / 2
//   log_variance:  s = log_variance
//                  value                 = (s + r^2 e^-s) / 2
//                  slope                 = r e^-s
//                  slope of log_variance = (1 - r^2 e^-s) / 2
//   full:          value + log(2 pi) / 2
//
// The slope of variance passes through the floor, so that a variance below it
// is pushed up.
//
// Row        mean over the last axis.
// Inputs     variance or log_variance, exactly one of them, as predictions; has
//            a gradient.
// Domain     finite numbers; variance >= 0.
// Kinks      variance = epsilon.
// Convention torch.nn.GaussianNLLLoss, which has no log_variance. Keras has
//            none.
// Accuracy   float32: value within 4 ulp and slope of the second input within 6
//            ulp of the larger of their terms, which cancel; slope within 4
//            ulp. (r / v)^2 doubles the errors of difference and quotient.
// Source     Nix and Weigend (1994), "Estimating the mean and variance of the
//            target probability distribution".
struct GaussianNllParams {
  // Adds the constant log(2 pi) / 2 to each element.
  bool full = false;
  // Floor of variance, in squared units of the prediction; not of
  // e^log_variance. Finite, > 0.
  double epsilon = 1e-6;

  static void VisitOptions(auto& params, auto visit) {
    visit("full", params.full, AnyValue());
    visit("epsilon", params.epsilon, kPositive);
  }
};

struct GaussianNll {
  static constexpr char kName[] = "gaussian_nll";
  using Params = GaussianNllParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_GAUSSIAN_NLL_H_
