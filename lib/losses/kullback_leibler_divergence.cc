#include "lib/losses/kullback_leibler_divergence.h"

#include "lib/core/violation.h"
#include "lib/kernels/cross_entropy.h"

namespace lossd {

void KullbackLeiblerDivergence::Resolve(Semantics semantics, Params* params) {
  if (params->prediction_kind != PredictionKind::kUnspecified) return;
  if (semantics == Semantics::kPytorch) {
    params->prediction_kind = PredictionKind::kLogProbabilities;
  } else if (semantics == Semantics::kKeras) {
    params->prediction_kind = PredictionKind::kProbabilities;
  }
}

absl::Status KullbackLeiblerDivergence::Validate(const Params& params) {
  if (params.temperature == 1 ||
      params.prediction_kind == PredictionKind::kLogits) {
    return absl::OkStatus();
  }
  return RefuseOption("temperature", NumberText(params.temperature),
                      "1 unless prediction_kind is LOGITS");
}

LossKernel KullbackLeiblerDivergence::Kernel(const Params& params,
                                             Semantics semantics) {
  const double squared = params.temperature * params.temperature;
  LossKernel kernel = CrossEntropyKernel(
      {.prediction_kind = params.prediction_kind,
       .semantics = semantics,
       .temperature = params.temperature,
       .factor = params.temperature_squared ? squared : 1,
       .epsilon = params.epsilon,
       .divergence = true,
       .log_targets = params.target_kind == TargetKind::kLogProbabilities});
  kernel.traits.mean_over_elements = semantics == Semantics::kPytorch;
  kernel.traits.diagnostics.clear();
  return kernel;
}

}  // namespace lossd
