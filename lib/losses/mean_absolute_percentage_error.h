#ifndef LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_PERCENTAGE_ERROR_H_
#define LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_PERCENTAGE_ERROR_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Mean absolute percentage error, for targets far from 0.
//
//   r     = prediction - target,  s = max(|target|, epsilon)
//   value = 100 |r| / s
//   slope = 100 sign(r) / s, 0 where r = 0
//
// Row        mean over the last axis.
// Domain     finite numbers. A target of 0 is legal and its loss huge.
// Diagnostics tiny_target_count (elements with |target| < epsilon).
// Kinks      r = 0.
// Convention keras.losses.MeanAbsolutePercentageError. PyTorch has none.
// Accuracy   float32: value within 3 ulp, slope within 2 ulp.
// Source     Makridakis (1993), "Accuracy measures: theoretical and practical
//            concerns".
struct MeanAbsolutePercentageErrorParams {
  // Floor of the divisor, in units of the target. Finite, > 0.
  double epsilon = 1e-7;

  static void VisitOptions(auto& params, auto visit) {
    visit("epsilon", params.epsilon, kPositive);
  }
};

struct MeanAbsolutePercentageError {
  static constexpr char kName[] = "mean_absolute_percentage_error";
  using Params = MeanAbsolutePercentageErrorParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_PERCENTAGE_ERROR_H_
