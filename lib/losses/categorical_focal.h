#ifndef LOSSD_LIB_LOSSES_CATEGORICAL_FOCAL_H_
#define LOSSD_LIB_LOSSES_CATEGORICAL_FOCAL_H_

#include <optional>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Categorical focal loss: cross-entropy that weighs classes less, the better
// they are already predicted.
//
//   y_k = (1 - label_smoothing) t_k + label_smoothing / C
//   q = softmax(x) of logits x, or probabilities r over their sum R
//   loss = alpha sum y_k (1 - q_k)^gamma (-log q_k)
//   v_k = alpha y_k (gamma q_k (1 - q_k)^(gamma - 1) log q_k - (1 - q_k)^gamma)
//   d/dx_j = v_j - q_j sum v_k,  d/dr_j = (v_j / q_j - sum v_k) / R
//
// Row        sum over the last axis.
// Domain     as categorical_cross_entropy.h: targets in [0, 1], used as given;
//            logits finite or -inf; probabilities in [0, 1] whose rows sum to 1
//            within 1e-4 (half types: 1e-2); no target mass on an impossible
//            class. Terms with y_k = 0 are 0.
// Semantics  kKeras: alpha is 0.25 and prediction_kind kProbabilities unless
//            set; q, also of logits, is clipped to [1e-7, 1 - 1e-7], with
//            v_k = 0 beyond. kPytorch: probabilities as given (q = r, d/dr_j =
//            v_j / q_j), logarithms at least -100, the q that v_j is divided
//            by at least 1e-12; logits are not clipped.
// Diagnostics accuracy.
// Kinks      none.
// Convention keras.losses.CategoricalFocalCrossentropy; PyTorch has none.
// Accuracy   computed in float64 for every dtype: (1 - q)^gamma multiplies
//            relative errors by gamma. 1 - q of the likeliest class is the sum
//            of the others.
// Source     Lin et al. (2017), "Focal Loss for Dense Object Detection".
struct CategoricalFocalParams {
  // kLogits or kProbabilities; kUnspecified is refused, but for kKeras.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // Finite, >= 0.
  double gamma = 2;
  // In [0, 1]. Unset: 1, for kKeras 0.25.
  std::optional<double> alpha;
  // In [0, 1].
  double label_smoothing = 0;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrProbabilities);
    visit("gamma", params.gamma, kNotNegative);
    visit("alpha", params.alpha, kUnitInterval);
    visit("label_smoothing", params.label_smoothing, kUnitInterval);
  }
};

struct CategoricalFocal {
  static constexpr char kName[] = "categorical_focal";
  using Params = CategoricalFocalParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_CATEGORICAL_FOCAL_H_
