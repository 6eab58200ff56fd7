#ifndef LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_ERROR_H_
#define LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_ERROR_H_

#include "absl/status/status.h"
#include "lib/kernels/loss_kernel.h"

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
struct MeanAbsoluteErrorParams {};

struct MeanAbsoluteError {
  static constexpr char kName[] = "mean_absolute_error";
  using Params = MeanAbsoluteErrorParams;
  // INVALID_ARGUMENT naming the option.
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MEAN_ABSOLUTE_ERROR_H_
