#ifndef LOSSD_LIB_LOSSES_CATEGORICAL_CROSS_ENTROPY_H_
#define LOSSD_LIB_LOSSES_CATEGORICAL_CROSS_ENTROPY_H_

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

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
//            1e-4. Target mass on an impossible class is refused: the loss is
//            infinite. Terms with tau_k = 0 are 0.
// Convention torch.nn.CrossEntropyLoss with probability targets,
//            keras.losses.CategoricalCrossentropy.
// Accuracy   see kernels/cross_entropy.h.
// Source     Bridle (1990), softmax with cross-entropy.
struct CategoricalCrossEntropyParams {
  // Must be set: kUnspecified is refused.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // In [0, 1].
  double label_smoothing = 0;
  // Finite, >= 0; 0 unless predictions are logits.
  double z_loss = 0;
};

struct CategoricalCrossEntropy {
  static constexpr char kName[] = "categorical_cross_entropy";
  using Params = CategoricalCrossEntropyParams;
  // INVALID_ARGUMENT naming the option.
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_CATEGORICAL_CROSS_ENTROPY_H_
