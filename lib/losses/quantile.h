#ifndef LOSSD_LIB_LOSSES_QUANTILE_H_
#define LOSSD_LIB_LOSSES_QUANTILE_H_

#include <optional>

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Quantile (pinball) loss: its minimum is a quantile of the targets.
//
//   d     = target - prediction,  tau = quantile, or the column's of quantiles
//   value = max(tau d, (tau - 1) d)
//   slope = -tau       if d > 0
//         = 1 - tau    if d < 0
//         = 0          if d = 0
//
// Row        mean over the last axis.
// Domain     finite numbers.
// Kinks      d = 0.
// Convention sklearn.metrics.mean_pinball_loss. At tau = 1/2 it is half of
//            mean_absolute_error.
// Accuracy   float32: value within 2 ulp, slope within 2 ulp. A single one of
//            quantiles that a float would round makes the computation float64:
//            1 - tau would lose its digits. Of the option both tau and 1 - tau
//            are rounded, and float32 does.
// Source     Koenker and Bassett (1978), "Regression Quantiles".
struct QuantileParams {
  // Share of the targets that are to lie below the prediction. In (0, 1).
  // Unset: 0.5, or the extra input quantiles [D], which is refused beside a
  // value here.
  std::optional<double> quantile;

  static void VisitOptions(auto& params, auto visit) {
    visit("quantile", params.quantile, kInsideUnitInterval);
  }
};

struct Quantile {
  static constexpr char kName[] = "quantile";
  using Params = QuantileParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_QUANTILE_H_
