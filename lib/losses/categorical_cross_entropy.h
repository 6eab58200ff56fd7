#ifndef LOSSD_LIB_LOSSES_CATEGORICAL_CROSS_ENTROPY_H_
#define LOSSD_LIB_LOSSES_CATEGORICAL_CROSS_ENTROPY_H_

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Categorical cross-entropy, for one-hot, soft and multi-hot targets.
//
//   tau_k = c_k ((1 - label_smoothing) t_k + label_smoothing / C),  c = class
//           weights,  T = sum of tau_k
//   logits x:          loss = sum tau_k (lse(x) - x_k) + z_loss lse(x)^2
//                      d/dx_j = (T + 2 z_loss lse(x)) S_j - tau_j
//   probabilities q:   loss = -sum tau_k log(q_k / Q),  Q = sum q
//                      d/dq_j = T / Q - tau_j / q_j
//   log-probabilities: loss = -sum tau_k l_k,  d/dl_j = -tau_j
//
// Row        sum over the last axis.
// Domain     targets in [0, 1] (up to 1e-5 above, for rounded soft labels),
//            used as given; logits finite or -inf, which makes a class
//            impossible; probabilities in [0, 1] whose rows sum to 1 within
//            1e-4 (half types: 1e-2). Target mass on an impossible class is
//            refused: the loss is infinite. Terms with tau_k = 0 are 0.
// Inputs     class_weights [C], finite, >= 0, not all 0; target_indices.
// Top-k      with the extra input target_indices [rows, K], int32 or int64,
//            targets [rows, K] are the weights of these classes, finite and
//            >= 0: those of a class twice named add up, a weight of 0 is
//            padding. t is then 0 elsewhere (kDrop), or divided by its sum
//            (kRenormalize), or the classes without weight share 1 - sum t
//            where that is > 0 (kUniformTail).
// Options    of logits, before all else: x becomes softcap tanh(x / softcap),
//            then x / temperature; both computed in float64.
// Semantics  probabilities: see kernels/cross_entropy.h; logits are never
//            clipped. kKeras weighs a row by the class weight of its target,
//            sum c_k t_k, instead of each class's term.
// Diagnostics accuracy, and with logits entropy (of the softmax), perplexity
//            (e^ the mean of sum t_k (lse(x) - x_k)), mean_target_probability.
// Kinks      none.
// Convention torch.nn.CrossEntropyLoss with probability targets,
//            keras.losses.CategoricalCrossentropy.
// Accuracy   see kernels/cross_entropy.h.
// Source     Bridle (1990), softmax with cross-entropy.
struct CategoricalCrossEntropyParams {
  // kUnspecified is refused by kStrict, logits for kPytorch and probabilities
  // for kKeras.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // In [0, 1].
  double label_smoothing = 0;
  // Finite, >= 0; 0 unless predictions are logits.
  double z_loss = 0;
  // Logits become logit_softcap tanh(x / logit_softcap) before everything else.
  // Finite, >= 0; 0, which is off, unless predictions are logits.
  double logit_softcap = 0;
  // Divides the logits. Finite, > 0; 1 unless predictions are logits.
  double temperature = 1;
  // kKeras and probabilities only: how far they are kept from 0 and 1. In
  // (0, 0.5).
  double epsilon = 1e-7;
  // With target_indices: what becomes of the mass they leave to the others.
  TailPolicy tail_policy = TailPolicy::kDrop;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kAnyPredictionKind);
    visit("label_smoothing", params.label_smoothing, kUnitInterval);
    visit("z_loss", params.z_loss, kNotNegative);
    visit("logit_softcap", params.logit_softcap, kNotNegative);
    visit("temperature", params.temperature, kPositive);
    visit("epsilon", params.epsilon, kClipDistance);
    visit("tail_policy", params.tail_policy, kAnyTailPolicy);
  }
};

struct CategoricalCrossEntropy {
  static constexpr char kName[] = "categorical_cross_entropy";
  using Params = CategoricalCrossEntropyParams;
  static void Resolve(Semantics semantics, Params* params);
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_CATEGORICAL_CROSS_ENTROPY_H_
