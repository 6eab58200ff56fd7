#ifndef LOSSD_LIB_LOSSES_CISPO_H_
#define LOSSD_LIB_LOSSES_CISPO_H_

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Policy gradient whose weights, the ratios, are clipped and taken as
// constants.
//
//   c     = clamp(exp(l - old), clip_low, clip_high)
//   value = -c A l,  slope = -c A
//
// The slope is not the derivative of the value: c has none.
//
// l is the log-probability of the token y that was taken: the prediction or,
// with kLogits, x_y - lse(x), and then d/dx_j = slope (1[j = y] - S_j).
//
// Row        with kLogProbabilities an element, and there are no targets; with
//            kLogits the last axis, targets are the tokens that were taken.
//            Extra inputs old_log_probabilities and advantages A, one a row.
// Domain     as importance_sampling.h: the ratio must be finite also where it
//            is clipped.
// Diagnostics ratio_max and ratio_mean: of the ratios; clipped_fraction: share
//            of tokens whose ratio is outside the bounds, whatever their A.
// Kinks      none.
// Convention tinker's cispo, whose sum is the reduction kSum; bounds are of the
//            ratio itself, not distances from 1. The same under all semantics.
// Accuracy   float32: as importance_sampling.h.
// Source     MiniMax (2025), "MiniMax-M1: Scaling Test-Time Compute Efficiently
//            with Lightning Attention".
struct CispoParams {
  // kLogits or kLogProbabilities.
  PredictionKind prediction_kind = PredictionKind::kLogProbabilities;
  // Bounds of the ratio. Finite, 0 <= clip_low <= clip_high, clip_high > 0.
  double clip_low = 0;
  double clip_high = 4;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrLogProbabilities);
    visit("clip_low", params.clip_low, kNotNegative);
    visit("clip_high", params.clip_high, kPositive);
  }
};

struct Cispo {
  static constexpr char kName[] = "cispo";
  using Params = CispoParams;
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_CISPO_H_
