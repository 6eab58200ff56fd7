#ifndef LOSSD_LIB_LOSSES_IMPORTANCE_SAMPLING_H_
#define LOSSD_LIB_LOSSES_IMPORTANCE_SAMPLING_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Policy gradient on samples of an older policy.
//
//   rho = exp(l - old),  value = -rho A,  slope = -rho A
//
// l is the log-probability of the token y that was taken: the prediction or,
// with kLogits, x_y - lse(x), and then d/dx_j = slope (1[j = y] - S_j).
//
// Row        with kLogProbabilities an element, and there are no targets; with
//            kLogits the last axis, targets are the tokens that were taken.
//            Extra inputs old_log_probabilities and advantages A, one a row.
// Domain     finite numbers, rho finite; logits as in
//            categorical_cross_entropy.h, the token's own finite.
// Diagnostics ratio_max and ratio_mean: of rho.
// Kinks      none.
// Convention tinker's importance_sampling, whose sum is the reduction kSum. The
//            same under all semantics.
// Accuracy   float32: value and slope within 4 ulp: rho is corrected by what
//            rounding l - old lost. With kLogits gradients are as in
//            kernels/cross_entropy.h.
// Source     Sutton and Barto (2018), "Reinforcement Learning", 5.5.
struct ImportanceSamplingParams {
  // kLogits or kLogProbabilities.
  PredictionKind prediction_kind = PredictionKind::kLogProbabilities;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrLogProbabilities);
  }
};

struct ImportanceSampling {
  static constexpr char kName[] = "importance_sampling";
  using Params = ImportanceSamplingParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_IMPORTANCE_SAMPLING_H_
