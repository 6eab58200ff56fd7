#ifndef LOSSD_LIB_LOSSES_SMOOTH_L1_H_
#define LOSSD_LIB_LOSSES_SMOOTH_L1_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Smooth L1 loss, for regression with outliers.
//
//   r     = prediction - target
//   value = r^2 / (2 beta)     if |r| < beta
//         = |r| - beta / 2     otherwise
//   slope = clamp(r / beta, -1, 1); for beta = 0 sign(r), 0 where r = 0
//
// It is huber with delta = beta, divided by beta: as beta goes to 0 it becomes
// mean_absolute_error, while huber vanishes.
//
// Row        mean over the last axis.
// Domain     finite numbers.
// Kinks      none in value or slope; r = 0 for beta = 0.
// Convention torch.nn.SmoothL1Loss, but for its slope of -1 at r = 0 with
//            beta = 0 (PyTorch 1.13). Keras has none.
// Accuracy   float32: value within 4 ulp, slope within 3 ulp.
// Source     Girshick (2015), "Fast R-CNN".
struct SmoothL1Params {
  // Where quadratic turns linear, in units of the prediction. Finite, >= 0.
  double beta = 1;

  static void VisitOptions(auto& params, auto visit) {
    visit("beta", params.beta, kNotNegative);
  }
};

struct SmoothL1 {
  static constexpr char kName[] = "smooth_l1";
  using Params = SmoothL1Params;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_SMOOTH_L1_H_
