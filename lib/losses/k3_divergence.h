#ifndef LOSSD_LIB_LOSSES_K3_DIVERGENCE_H_
#define LOSSD_LIB_LOSSES_K3_DIVERGENCE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Estimate, from sampled tokens, of the divergence from a reference policy.
//
//   d = ref - l,  value = e^d - 1 - d,  slope = 1 - e^d
//
// For |d| < 1 as d^2 / 2 + d^3 / 6 + ..., so that neither loses digits where
// both policies agree.
//
// l is the log-probability of the token y that was taken: the prediction or,
// with kLogits, x_y - lse(x), and then d/dx_j = slope (1[j = y] - S_j).
//
// Row        with kLogProbabilities an element, and there are no targets; with
//            kLogits the last axis, targets are the tokens that were taken.
//            Extra input reference_log_probabilities, one a row.
// Domain     finite numbers, e^d finite; logits as in
//            categorical_cross_entropy.h, the token's own finite.
// Diagnostics kl_mean: of the values.
// Kinks      none.
// Convention the penalty of GRPO. The same under all semantics.
// Accuracy   float32: value and slope within 4 ulp. With kLogits computed in
//            float64: d is a difference.
// Source     Schulman (2020), "Approximating KL Divergence".
struct K3DivergenceParams {
  // kLogits or kLogProbabilities.
  PredictionKind prediction_kind = PredictionKind::kLogProbabilities;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrLogProbabilities);
  }
};

struct K3Divergence {
  static constexpr char kName[] = "k3_divergence";
  using Params = K3DivergenceParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_K3_DIVERGENCE_H_
