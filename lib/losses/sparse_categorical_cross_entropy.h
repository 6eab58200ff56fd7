#ifndef LOSSD_LIB_LOSSES_SPARSE_CATEGORICAL_CROSS_ENTROPY_H_
#define LOSSD_LIB_LOSSES_SPARSE_CATEGORICAL_CROSS_ENTROPY_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// Categorical cross-entropy of class labels.
//
// The loss of categorical_cross_entropy.h with t the one-hot row of the label,
// bit for bit.
//
// Row        sum over the last axis.
// Domain     labels int32 or int64 in [0, C), or ignore_index; predictions as
//            there.
// Convention torch.nn.CrossEntropyLoss with class indices (which ignores -100
//            by default), keras.losses.SparseCategoricalCrossentropy.
// Accuracy   see kernels/cross_entropy.h.
// Source     as there.
struct SparseCategoricalCrossEntropyParams {
  // Must be set: kUnspecified is refused.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  // Rows with this label do not count. Unset: none.
  std::optional<int64_t> ignore_index;
  // In [0, 1].
  double label_smoothing = 0;
  // Finite, >= 0; 0 unless predictions are logits.
  double z_loss = 0;
};

struct SparseCategoricalCrossEntropy {
  static constexpr char kName[] = "sparse_categorical_cross_entropy";
  using Params = SparseCategoricalCrossEntropyParams;
  // INVALID_ARGUMENT naming the option.
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_SPARSE_CATEGORICAL_CROSS_ENTROPY_H_
