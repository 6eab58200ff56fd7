#include "lib/losses/cosine_embedding.h"

#include "lib/kernels/cosine.h"

namespace lossd {

LossKernel CosineEmbedding::Kernel(const Params& params, Semantics semantics) {
  const bool strict = semantics == Semantics::kStrict;
  return CosineKernel(
      {.semantics = semantics,
       .guard = strict ? LengthGuard::kFloor : LengthGuard::kAdd,
       // PyTorch's is a float, in both dtypes.
       .epsilon = strict ? 1e-12 : double{1e-12F},
       .pairs = true,
       .margin = params.margin});
}

}  // namespace lossd
