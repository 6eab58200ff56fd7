#include "lib/losses/dice.h"

#include "lib/losses/tversky.h"

namespace lossd {

void Dice::Resolve(Semantics semantics, Params* params) {
  TverskyParams shared{.prediction_kind = params->prediction_kind,
                       .smooth = params->smooth,
                       .scope = params->scope};
  Tversky::Resolve(semantics, &shared);
  params->prediction_kind = shared.prediction_kind;
  params->smooth = shared.smooth;
  params->scope = shared.scope;
}

LossKernel Dice::Kernel(const Params& params, Semantics semantics) {
  // Numerator and denominator halved.
  return OverlapKernel(
      {.prediction_kind = params.prediction_kind,
       .semantics = semantics,
       .scope = params.scope,
       .smooth_numerator = params.smooth.value_or(0) / 2,
       .smooth_denominator = params.smooth.value_or(kKerasSmooth) / 2});
}

}  // namespace lossd
