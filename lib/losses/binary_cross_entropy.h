#ifndef LOSSD_LIB_LOSSES_BINARY_CROSS_ENTROPY_H_
#define LOSSD_LIB_LOSSES_BINARY_CROSS_ENTROPY_H_

#include <optional>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Binary cross-entropy, for targets 0 and 1 and independent labels.
//
//   y  = (1 - label_smoothing) target + label_smoothing / 2,  P = pos_weight
//   logits x:         value = P y sp(-x) + (1 - y) sp(x)
//                     slope = (1 - y) s(x) - P y s(-x)
//   probabilities q:  value = -P y log q - (1 - y) log(1 - q)
//                     slope = (1 - y) / (1 - q) - P y / q
//   sp(x) = log(1 + e^x),  s(x) = 1 / (1 + e^-x)
//
// Both terms of a value are >= 0, so a confident right answer keeps all digits.
//
// Row        mean over the last axis: the columns are independent problems.
// Domain     targets in [0, 1]; logits finite; probabilities in [0, 1], where 0
//            with y > 0 and 1 with y < 1 are refused: the loss is infinite.
//            Terms with factor 0 are 0 in value and slope.
// Semantics  kPytorch, probabilities: logarithms are at least -100, the slope's
//            denominator q (1 - q) at least 1e-12. kKeras, probabilities: they
//            are kept in [epsilon, 1 - epsilon], with slope 0 beyond. Logits
//            are never clipped.
// Diagnostics accuracy (q > 1/2 where target > 1/2), mean_target_probability,
//            saturated_fraction (q is 0 or 1 in float32).
// Kinks      none.
// Convention torch.nn.BCEWithLogitsLoss, keras.losses.BinaryCrossentropy.
// Accuracy   float32: value within 4 ulp; slope within 4 ulp of its larger
//            term (which is all of it for targets 0 and 1).
// Source     Good (1952), "Rational Decisions"; the logit form as in
//            tf.nn.sigmoid_cross_entropy_with_logits.
struct BinaryCrossEntropyParams {
  // kLogits or kProbabilities; kUnspecified is refused, but for kKeras, which
  // takes probabilities.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // In [0, 1].
  double label_smoothing = 0;
  // Finite, > 0. Unset: 1, or the extra input pos_weight [D], which is refused
  // beside a value here.
  std::optional<double> pos_weight;
  // kKeras and probabilities only: how far they are kept from 0 and 1. In
  // (0, 0.5).
  double epsilon = 1e-7;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrProbabilities);
    visit("label_smoothing", params.label_smoothing, kUnitInterval);
    visit("pos_weight", params.pos_weight, kPositive);
    visit("epsilon", params.epsilon, kClipDistance);
  }
};

struct BinaryCrossEntropy {
  static constexpr char kName[] = "binary_cross_entropy";
  using Params = BinaryCrossEntropyParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_BINARY_CROSS_ENTROPY_H_
