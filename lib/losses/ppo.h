#ifndef LOSSD_LIB_LOSSES_PPO_H_
#define LOSSD_LIB_LOSSES_PPO_H_

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Proximal policy optimization: importance sampling without a reward for moving
// a ratio beyond its bounds.
//
//   rho   = exp(l - old)
//   value = -min(rho A, clamp(rho, clip_low, clip_high) A)
//   slope = -rho A  if A >= 0 and rho <= clip_high,
//                   or A < 0 and rho >= clip_low
//         = 0       otherwise
//
// l is the log-probability of the token y that was taken: the prediction or,
// with kLogits, x_y - lse(x), and then d/dx_j = slope (1[j = y] - S_j).
//
// Row        with kLogProbabilities an element, and there are no targets; with
//            kLogits the last axis, targets are the tokens that were taken.
//            Extra inputs old_log_probabilities and advantages A, one a row.
// Domain     as importance_sampling.h: rho must be finite also where it is
//            clipped.
// Diagnostics ratio_max and ratio_mean: of rho; clipped_fraction: share of
//            tokens whose slope a bound stops: A > 0 and rho > clip_high, or
//            A < 0 and rho < clip_low.
// Kinks      rho = clip_high with A > 0, rho = clip_low with A < 0: the slope
//            of the inner side, -rho A.
// Convention tinker's ppo, whose sum is the reduction kSum; bounds are of rho
//            itself, not distances from 1. The same under all semantics.
// Accuracy   float32: as importance_sampling.h.
// Source     Schulman et al. (2017), "Proximal Policy Optimization Algorithms".
struct PpoParams {
  // kLogits or kLogProbabilities.
  PredictionKind prediction_kind = PredictionKind::kLogProbabilities;
  // Bounds of the ratio. Finite, 0 <= clip_low <= clip_high, clip_high > 0.
  double clip_low = 0.8;
  double clip_high = 1.2;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrLogProbabilities);
    visit("clip_low", params.clip_low, kNotNegative);
    visit("clip_high", params.clip_high, kPositive);
  }
};

struct Ppo {
  static constexpr char kName[] = "ppo";
  using Params = PpoParams;
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_PPO_H_
