#include "lib/losses/tversky.h"

namespace lossd {

void Tversky::Resolve(Semantics semantics, Params* params) {
  const bool keras = semantics == Semantics::kKeras;
  if (keras && params->prediction_kind == PredictionKind::kUnspecified) {
    params->prediction_kind = PredictionKind::kProbabilities;
  }
  if (params->scope == Scope::kUnspecified) {
    params->scope = keras ? Scope::kBatch : Scope::kSample;
  }
  // Keras has no number for both: it stays unset.
  if (!keras && !params->smooth) params->smooth = 1;
}

LossKernel Tversky::Kernel(const Params& params, Semantics semantics) {
  const bool keras = semantics == Semantics::kKeras;
  return OverlapKernel(
      {.prediction_kind = params.prediction_kind,
       .semantics = semantics,
       .scope = params.scope,
       .alpha = keras ? params.beta : params.alpha,
       .beta = keras ? params.alpha : params.beta,
       .smooth_numerator = params.smooth.value_or(0),
       .smooth_denominator = params.smooth.value_or(kKerasSmooth)});
}

}  // namespace lossd
