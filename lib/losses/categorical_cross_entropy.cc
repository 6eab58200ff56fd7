#include "lib/losses/categorical_cross_entropy.h"

#include <utility>

#include "lib/core/violation.h"
#include "lib/kernels/cross_entropy.h"

namespace lossd {
namespace {

// Refuses an option of logits that is not at its default.
absl::Status CheckLogitsOption(const char* name, double number, double off,
                               PredictionKind kind) {
  if (number == off || kind == PredictionKind::kLogits) return absl::OkStatus();
  return RefuseOption(name, NumberText(number),
                      NumberText(off) + " unless prediction_kind is LOGITS");
}

}  // namespace

void CategoricalCrossEntropy::Resolve(Semantics semantics, Params* params) {
  if (params->prediction_kind != PredictionKind::kUnspecified) return;
  if (semantics == Semantics::kPytorch) {
    params->prediction_kind = PredictionKind::kLogits;
  } else if (semantics == Semantics::kKeras) {
    params->prediction_kind = PredictionKind::kProbabilities;
  }
}

absl::Status CategoricalCrossEntropy::Validate(const Params& params) {
  const PredictionKind kind = params.prediction_kind;
  absl::Status status = CheckLogitsOption("z_loss", params.z_loss, 0, kind);
  status.Update(
      CheckLogitsOption("logit_softcap", params.logit_softcap, 0, kind));
  status.Update(CheckLogitsOption("temperature", params.temperature, 1, kind));
  return status;
}

LossKernel CategoricalCrossEntropy::Kernel(const Params& params,
                                           Semantics semantics) {
  LossKernel kernel =
      CrossEntropyKernel({.prediction_kind = params.prediction_kind,
                          .semantics = semantics,
                          .label_smoothing = params.label_smoothing,
                          .z_loss = params.z_loss,
                          .logit_softcap = params.logit_softcap,
                          .temperature = params.temperature,
                          .epsilon = params.epsilon,
                          .tail_policy = params.tail_policy});
  kernel.traits.column_input =
      ColumnInput{.name = "class_weights", .zero_allowed = true};
  kernel.traits.tail_policy = params.tail_policy;
  return kernel;
}

}  // namespace lossd
