#ifndef LOSSD_LIB_LOSSES_HUBER_H_
#define LOSSD_LIB_LOSSES_HUBER_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Huber loss, for regression with outliers.
//
//   r     = prediction - target
//   value = r^2 / 2                         if |r| <= delta
//         = delta * (|r| - delta / 2)       otherwise
//   slope = clamp(r, -delta, delta)
//
// Row        mean over the last axis.
// Domain     finite numbers.
// Kinks      none in value or slope.
// Convention torch.nn.HuberLoss, keras.losses.Huber. Not SmoothL1, which
//            divides by its threshold.
// Accuracy   float32: value within 4 ulp, slope within 1 ulp.
// Source     Huber (1964), "Robust Estimation of a Location Parameter".
struct HuberParams {
  // Where quadratic turns linear, in units of the prediction. Finite, > 0.
  double delta = 1;

  static void VisitOptions(auto& params, auto visit) {
    visit("delta", params.delta, kPositive);
  }
};

struct Huber {
  static constexpr char kName[] = "huber";
  using Params = HuberParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_HUBER_H_
