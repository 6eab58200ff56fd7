#ifndef LOSSD_LIB_LOSSES_DICE_H_
#define LOSSD_LIB_LOSSES_DICE_H_

#include <optional>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Dice loss, for masks whose object fills a small part of them.
//
//   I = sum q t,  U = sum q + sum t,  q = 1 / (1 + e^-x) for logits x
//   loss = 1 - (2 I + smooth) / (U + smooth)
//   d/dq = (2 I + smooth) / (U + smooth)^2 - 2 t / (U + smooth)
//   d/dx = d/dq q (1 - q)
//
// Row        joint over everything behind the first axis, or (kBatch) over the
//            whole tensor.
// Domain     logits finite, probabilities and targets in [0, 1]. Rows whose
//            overlap is 0 / 0 are refused (smooth = 0 and both masks empty).
// Semantics  kKeras: prediction_kind kProbabilities, scope kBatch, and smooth 0
//            in the numerator and 1e-7 in the denominator unless set, so that
//            two empty masks have loss 1. kPytorch: as kStrict.
// Kinks      none.
// Convention keras.losses.Dice; PyTorch has none.
// Accuracy   see kernels/overlap.h.
// Source     Milletari, Navab and Ahmadi (2016), "V-Net".
struct DiceParams {
  // kLogits or kProbabilities; kUnspecified is refused, but for kKeras.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // Finite, >= 0. Unset: 1, for kKeras see above.
  std::optional<double> smooth;
  // kUnspecified: kSample, for kKeras kBatch.
  Scope scope = Scope::kUnspecified;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrProbabilities);
    visit("smooth", params.smooth, kNotNegative);
    visit("scope", params.scope, kBothScopes);
  }
};

struct Dice {
  static constexpr char kName[] = "dice";
  using Params = DiceParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_DICE_H_
