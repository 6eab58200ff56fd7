#ifndef LOSSD_LIB_LOSSES_MEAN_SQUARED_ERROR_H_
#define LOSSD_LIB_LOSSES_MEAN_SQUARED_ERROR_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

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
struct MeanSquaredErrorParams {
  static void VisitOptions(auto& /*params*/, auto /*visit*/) {}
};

struct MeanSquaredError {
  static constexpr char kName[] = "mean_squared_error";
  using Params = MeanSquaredErrorParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MEAN_SQUARED_ERROR_H_
