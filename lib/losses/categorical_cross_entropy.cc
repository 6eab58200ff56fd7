#include "lib/losses/categorical_cross_entropy.h"

#include "lib/kernels/cross_entropy.h"
#include "lib/losses/option_checks.h"

namespace lossd {

absl::Status CategoricalCrossEntropy::Validate(const Params& params) {
  absl::Status status = CheckPredictionKind(params.prediction_kind, true);
  status.Update(
      CheckUnitInterval("options.label_smoothing", params.label_smoothing));
  status.Update(CheckZLoss(params.z_loss, params.prediction_kind));
  return status;
}

LossKernel CategoricalCrossEntropy::Kernel(const Params& params) {
  RowwiseKernel kernel =
      CrossEntropyKernel({.prediction_kind = params.prediction_kind,
                          .label_smoothing = params.label_smoothing,
                          .z_loss = params.z_loss});
  kernel.column_input = ColumnInput{
      .name = "class_weights", .zero_allowed = true, .excluded_by = {}};
  return kernel;
}

}  // namespace lossd
