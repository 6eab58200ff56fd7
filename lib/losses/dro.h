#ifndef LOSSD_LIB_LOSSES_DRO_H_
#define LOSSD_LIB_LOSSES_DRO_H_

#include <optional>

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Direct reward optimization: policy gradient with a quadratic penalty.
//
//   d     = l - old
//   value = beta d^2 / 2 - A l,  slope = beta d - A
//
// l is the log-probability of the token y that was taken: the prediction or,
// with kLogits, x_y - lse(x), and then d/dx_j = slope (1[j = y] - S_j).
//
// Row        with kLogProbabilities an element, and there are no targets; with
//            kLogits the last axis, targets are the tokens that were taken.
//            Extra inputs old_log_probabilities and advantages A, one a row.
// Domain     finite numbers; logits as in categorical_cross_entropy.h, the
//            token's own finite.
// Diagnostics ratio_max and ratio_mean: of e^d, which may be infinite where
//            value and slope are finite.
// Kinks      none.
// Convention tinker's dro, whose sum is the reduction kSum. The same under all
//            semantics.
// Accuracy   float32: value and slope within 4 ulp of the larger of their two
//            terms. With kLogits computed in float64: d is a difference.
// Source     Richemond et al. (2024), "Offline Regularised Reinforcement
//            Learning for Large Language Models Alignment".
struct DroParams {
  // kLogits or kLogProbabilities.
  PredictionKind prediction_kind = PredictionKind::kLogProbabilities;
  // Strength of the penalty, in units of advantage per nat. Finite, > 0; must
  // be set.
  std::optional<double> beta;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrLogProbabilities);
    visit("beta", params.beta, kPositive);
  }
};

struct Dro {
  static constexpr char kName[] = "dro";
  using Params = DroParams;
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_DRO_H_
