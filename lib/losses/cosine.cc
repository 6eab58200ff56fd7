#include "lib/losses/cosine.h"

#include "lib/kernels/cosine.h"

namespace lossd {

void Cosine::Resolve(Semantics semantics, Params* params) {
  if (params->epsilon) return;
  // Keras keeps lengths, not their squares, above 1e-7.
  params->epsilon = semantics == Semantics::kKeras ? 1e-14 : 1e-12;
}

LossKernel Cosine::Kernel(const Params& params, Semantics semantics) {
  return CosineKernel({.semantics = semantics,
                       .epsilon = *params.epsilon,
                       .negative = semantics == Semantics::kKeras});
}

}  // namespace lossd
