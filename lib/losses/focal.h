#ifndef LOSSD_LIB_LOSSES_FOCAL_H_
#define LOSSD_LIB_LOSSES_FOCAL_H_

#include <optional>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Focal loss: binary cross-entropy that weighs elements less, the better they
// are already predicted.
//
//   y  = (1 - label_smoothing) target + label_smoothing / 2,  q = s(x)
//   a  = alpha y + (1 - alpha) (1 - y), or 1 if alpha is unset
//   u  = y (1 - q) + (1 - y) q
//   b  = -y log q - (1 - y) log(1 - q)
//   value = a u^gamma b
//   logits x:         slope = a u^gamma ((1 - y) q - y (1 - q)
//                             - gamma (2 y - 1) q (1 - q) b / u)
//   probabilities q:  slope = a u^gamma ((1 - y) / (1 - q) - y / q
//                             - gamma (2 y - 1) b / u)
//   s(x) = 1 / (1 + e^-x)
//
// u is never computed as 1 minus something and never divided by where it is 0,
// so nothing is NaN for gamma < 1 and a confident right answer keeps its
// digits.
//
// Row        mean over the last axis: the columns are independent problems.
// Domain     targets in [0, 1]; logits finite; probabilities in [0, 1], where 0
//            with y > 0 and 1 with y < 1 are refused: the loss is infinite.
//            Terms with factor 0 are 0 in value and slope.
// Semantics  kPytorch: alpha is 0.25 unless set, as torchvision has it; nothing
//            is clipped. kKeras: b is that of q kept in [1e-7, 1 - 1e-7] (of
//            logits too, which Keras turns into probabilities first), with no
//            slope of b beyond; u is not clipped, and its slope stays.
// Diagnostics accuracy (q > 1/2 where target > 1/2), mean_target_probability,
//            saturated_fraction (q is 0 or 1 in float32).
// Kinks      none.
// Convention torchvision.ops.sigmoid_focal_loss,
//            keras.losses.BinaryFocalCrossentropy, whose
//            apply_class_balancing is alpha being set.
// Accuracy   float32: value within 4 (1 + gamma) ulp, slope within
//            4 (2 + gamma) ulp of its larger term, where neither is below
//            2^-126: u^gamma multiplies the errors of the sigmoid. Measured
//            for gamma 2: 10.3 and 12.6 ulp, for gamma 4: 15.1 and 15.5. A
//            gamma that is no integer from 0 to 4, and kKeras, are always
//            computed in float64: the power of a float32 logarithm would lose
//            gamma |log u| ulp.
// Source     Lin et al. (2017), "Focal Loss for Dense Object Detection".
struct FocalParams {
  // kLogits or kProbabilities; kUnspecified is refused, but for kKeras, which
  // takes probabilities.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // How much less well predicted elements weigh. Finite, >= 0.
  double gamma = 2;
  // Weight of positive targets, negative ones have 1 - alpha. In [0, 1]. Unset:
  // both have 1, but for kPytorch.
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

struct Focal {
  static constexpr char kName[] = "focal";
  using Params = FocalParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_FOCAL_H_
