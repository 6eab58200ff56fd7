#ifndef LOSSD_LIB_LOSSES_SPARSE_CATEGORICAL_CROSS_ENTROPY_H_
#define LOSSD_LIB_LOSSES_SPARSE_CATEGORICAL_CROSS_ENTROPY_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// What PyTorch ignores unless told otherwise.
inline constexpr int64_t kPytorchIgnoreIndex = -100;

// Categorical cross-entropy of class labels.
//
// The loss of categorical_cross_entropy.h with t the one-hot row of the label,
// bit for bit.
//
// Row        sum over the last axis.
// Inputs     class_weights [C], finite, >= 0, not all 0.
// Domain     labels int32 or int64 in [0, C), or ignore_index; predictions as
//            there.
// Semantics  kPytorch: ignore_index is -100 unless set, and class_weights make
//            the default reduction WEIGHTED_MEAN. Else as there.
// Diagnostics as there.
// Kinks      none.
// Convention torch.nn.CrossEntropyLoss with class indices (which ignores -100
//            by default), keras.losses.SparseCategoricalCrossentropy.
// Accuracy   see kernels/cross_entropy.h.
// Source     as there.
struct SparseCategoricalCrossEntropyParams {
  // kUnspecified is refused by kStrict, logits for kPytorch and probabilities
  // for kKeras.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // Rows with this label do not count. Unset: none, for kPytorch -100.
  std::optional<int64_t> ignore_index;
  // In [0, 1].
  double label_smoothing = 0;
  // As in categorical_cross_entropy.h.
  double z_loss = 0;
  double logit_softcap = 0;
  double temperature = 1;
  double epsilon = 1e-7;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kAnyPredictionKind);
    visit("ignore_index", params.ignore_index, AnyValue());
    visit("label_smoothing", params.label_smoothing, kUnitInterval);
    visit("z_loss", params.z_loss, kNotNegative);
    visit("logit_softcap", params.logit_softcap, kNotNegative);
    visit("temperature", params.temperature, kPositive);
    visit("epsilon", params.epsilon, kClipDistance);
  }
};

struct SparseCategoricalCrossEntropy {
  static constexpr char kName[] = "sparse_categorical_cross_entropy";
  using Params = SparseCategoricalCrossEntropyParams;
  static void Resolve(Semantics semantics, Params* params);
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_SPARSE_CATEGORICAL_CROSS_ENTROPY_H_
