#include "lib/losses/kullback_leibler_divergence.h"

#include "lib/kernels/cross_entropy.h"
#include "lib/losses/option_checks.h"

namespace lossd {

absl::Status KullbackLeiblerDivergence::Validate(const Params& params) {
  return CheckPredictionKind(params.prediction_kind, true);
}

LossKernel KullbackLeiblerDivergence::Kernel(const Params& params) {
  return CrossEntropyKernel(
      {.prediction_kind = params.prediction_kind,
       .divergence = true,
       .log_targets = params.target_kind == TargetKind::kLogProbabilities});
}

}  // namespace lossd
