#include "lib/losses/cosine_embedding.h"

#include "lib/kernels/cosine.h"

namespace lossd {

LossKernel CosineEmbedding::Kernel(const Params& params, Semantics semantics) {
  return CosineKernel({.semantics = semantics,
                       .guard = semantics == Semantics::kStrict
                                    ? LengthGuard::kFloor
                                    : LengthGuard::kAdd,
                       .pairs = true,
                       .margin = params.margin});
}

}  // namespace lossd
