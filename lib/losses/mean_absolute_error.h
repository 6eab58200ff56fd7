#ifndef LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_ERROR_H_
#define LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_ERROR_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Mean absolute error, for regression that outliers must not pull.
//
//   r = prediction - target,  value = |r|,  slope = sign(r)
//
// Row        mean over the last axis.
// Domain     finite numbers.
// Kinks      r = 0: slope 0.
// Convention torch.nn.L1Loss, keras.losses.MeanAbsoluteError.
// Accuracy   value within 1 ulp, slope exact.
// Source     Laplace (1774), least absolute deviations.
struct MeanAbsoluteErrorParams {
  static void VisitOptions(auto& /*params*/, auto /*visit*/) {}
};

struct MeanAbsoluteError {
  static constexpr char kName[] = "mean_absolute_error";
  using Params = MeanAbsoluteErrorParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_ERROR_H_
