#ifndef LOSSD_LIB_LOSSES_MEAN_SQUARED_LOGARITHMIC_ERROR_H_
#define LOSSD_LIB_LOSSES_MEAN_SQUARED_LOGARITHMIC_ERROR_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Mean squared logarithmic error, for positive targets of several magnitudes.
//
//   d     = log1p(prediction) - log1p(target)
//   value = d^2,  slope = 2 d / (1 + prediction)
//
// Evaluated as d = sign(p - t) log1p(|p - t| / (1 + min(p, t))), whose argument
// is never negative: a difference of two logarithms loses 10 digits where both
// are near 1e6.
//
// Row        mean over the last axis.
// Domain     numbers > -1, finite.
// Semantics  kKeras: predictions and targets below epsilon count as epsilon;
//            the slope of such a prediction is 0.
// Kinks      none; kKeras: prediction = epsilon, with its full slope.
// Convention keras.losses.MeanSquaredLogarithmicError wherever both numbers are
//            at least 1e-7 (Keras clips below).
// Accuracy   float32: value within 8 ulp, slope within 6 ulp.
// Source     Keras, losses.py; the kept "+ 1" is its.
struct MeanSquaredLogarithmicErrorParams {
  // kKeras only: smaller numbers count as this one. In (0, 0.5).
  double epsilon = 1e-7;

  static void VisitOptions(auto& params, auto visit) {
    visit("epsilon", params.epsilon, kClipDistance);
  }
};

struct MeanSquaredLogarithmicError {
  static constexpr char kName[] = "mean_squared_logarithmic_error";
  using Params = MeanSquaredLogarithmicErrorParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MEAN_SQUARED_LOGARITHMIC_ERROR_H_
