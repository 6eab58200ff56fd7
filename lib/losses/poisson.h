#ifndef LOSSD_LIB_LOSSES_POISSON_H_
#define LOSSD_LIB_LOSSES_POISSON_H_

#include <optional>

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Negative log-likelihood of counts under a Poisson distribution.
//
//   log_input:  value = e^x - t x                    x the logarithm of a rate
//               slope = e^x - t
//   otherwise:  value = x - t log(x + epsilon)       x a rate
//               slope = 1 - t / (x + epsilon)
//   full:       value + t log t - t + log(2 pi t) / 2 where t > 1: Stirling's
//               approximation of log(t!)
//
// Row        mean over the last axis.
// Domain     targets >= 0, not necessarily whole; logarithms finite, with a
//            finite e^x; rates >= 0.
// Semantics  kStrict and kPytorch predict logarithms unless log_input says
//            otherwise, with an epsilon of 1e-8; kKeras rates, with 1e-7.
// Kinks      none.
// Convention torch.nn.PoissonNLLLoss, keras.losses.Poisson.
// Accuracy   float32: value and slope within 4 ulp of the larger of their two
//            terms, which cancel where the prediction is right. full computes
//            in float64: its terms of t log t leave only log(t) / 2 there.
// Source     Nelder and Wedderburn (1972), "Generalized Linear Models".
struct PoissonParams {
  // Whether predictions are logarithms of rates. Unset: by the semantics.
  std::optional<bool> log_input;
  // Adds Stirling's approximation, which has no gradient.
  bool full = false;
  // Added to rates in the logarithm. Finite, > 0. Unset: by the semantics.
  std::optional<double> epsilon;

  static void VisitOptions(auto& params, auto visit) {
    visit("log_input", params.log_input, AnyValue());
    visit("full", params.full, AnyValue());
    visit("epsilon", params.epsilon, kPositive);
  }
};

struct Poisson {
  static constexpr char kName[] = "poisson";
  using Params = PoissonParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_POISSON_H_
