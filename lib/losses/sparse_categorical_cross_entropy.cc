#include "lib/losses/sparse_categorical_cross_entropy.h"

#include "lib/losses/categorical_cross_entropy.h"

namespace lossd {
namespace {

CategoricalCrossEntropyParams Shared(
    const SparseCategoricalCrossEntropyParams& params) {
  return {.prediction_kind = params.prediction_kind,
          .label_smoothing = params.label_smoothing,
          .z_loss = params.z_loss};
}

}  // namespace

absl::Status SparseCategoricalCrossEntropy::Validate(const Params& params) {
  return CategoricalCrossEntropy::Validate(Shared(params));
}

LossKernel SparseCategoricalCrossEntropy::Kernel(const Params& params) {
  LossKernel kernel = CategoricalCrossEntropy::Kernel(Shared(params));
  auto& rowwise = std::get<RowwiseKernel>(kernel);
  rowwise.labels = true;
  rowwise.ignore_index = params.ignore_index;
  return kernel;
}

}  // namespace lossd
