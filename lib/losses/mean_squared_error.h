#ifndef LOSSD_LIB_LOSSES_MEAN_SQUARED_ERROR_H_
#define LOSSD_LIB_LOSSES_MEAN_SQUARED_ERROR_H_

#include "absl/status/status.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// Mean squared error, for regression with Gaussian errors.
//
//   r = prediction - target,  value = r^2,  slope = 2 r
//
// Row        mean over the last axis.
// Domain     finite numbers whose squared difference is finite in the dtype of
//            the computation.
// Kinks      none.
// Convention torch.nn.MSELoss, keras.losses.MeanSquaredError; twice the
//            "L2 loss" of optax.
// Accuracy   float32: value within 2 ulp, slope within 1 ulp.
// Source     Legendre (1805), Gauss (1809), least squares.
struct MeanSquaredErrorParams {};

struct MeanSquaredError {
  static constexpr char kName[] = "mean_squared_error";
  using Params = MeanSquaredErrorParams;
  // INVALID_ARGUMENT naming the option.
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MEAN_SQUARED_ERROR_H_
