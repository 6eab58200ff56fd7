#ifndef LOSSD_LIB_LOSSES_TVERSKY_H_
#define LOSSD_LIB_LOSSES_TVERSKY_H_

#include <optional>

#include "lib/core/spec.h"
#include "lib/kernels/overlap.h"
#include "lib/losses/options.h"

namespace lossd {

// Tversky loss: dice loss that weighs false positives and negatives apart.
//
//   I = sum q t,  P = sum q (1 - t),  M = sum (1 - q) t,
//   q = 1 / (1 + e^-x) for logits x
//   A = I + smooth,  B = I + alpha P + beta M + smooth,  loss = 1 - A / B
//   d/dq = (A b - t B) / B^2,  b = t + alpha (1 - t) - beta t
//   d/dx = d/dq q (1 - q)
//
// Row        as dice.h.
// Domain     as dice.h.
// Semantics  as dice.h; kKeras besides: alpha weighs M and beta P, which is
//            what the code of keras.losses.Tversky does, not its text.
// Kinks      none.
// Convention keras.losses.Tversky; PyTorch has none.
// Accuracy   see kernels/overlap.h.
// Source     Salehi, Erdogmus and Gholipour (2017), "Tversky Loss Function for
//            Image Segmentation Using 3D Fully Convolutional Deep Networks".
struct TverskyParams {
  // As in dice.h.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  std::optional<double> smooth;
  // Weight of false positives and of false negatives, for kKeras the other way
  // round. Finite, >= 0.
  double alpha = 0.5;
  double beta = 0.5;
  // As in dice.h.
  Scope scope = Scope::kUnspecified;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrProbabilities);
    visit("smooth", params.smooth, kNotNegative);
    visit("alpha", params.alpha, kNotNegative);
    visit("beta", params.beta, kNotNegative);
    visit("scope", params.scope, kBothScopes);
  }
};

// What Keras adds to the denominator alone.
inline constexpr double kKerasSmooth = 1e-7;

struct Tversky {
  static constexpr char kName[] = "tversky";
  using Params = TverskyParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_TVERSKY_H_
