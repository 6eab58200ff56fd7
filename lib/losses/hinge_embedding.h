#ifndef LOSSD_LIB_LOSSES_HINGE_EMBEDDING_H_
#define LOSSD_LIB_LOSSES_HINGE_EMBEDDING_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Hinge embedding loss, of distances of pairs that are alike (y = 1) or not
// (y = -1). Not the hinge loss.
//
//   y = 1:   value = prediction,                   slope = 1
//   y = -1:  value = max(0, margin - prediction),  slope = -1 where prediction
//                                                  <= margin, else 0
//
// Row        mean over the last axis.
// Domain     predictions finite (negative ones too), y is -1 or +1.
// Semantics  not kStrict: a y that is neither gets both terms, as in PyTorch.
// Kinks      prediction = margin: slope -1, the active side.
// Convention torch.nn.HingeEmbeddingLoss.
// Accuracy   float32: value within 1 ulp, slope exact.
// Source     Hadsell, Chopra and LeCun (2006), "Dimensionality Reduction by
//            Learning an Invariant Mapping"; without its squares.
struct HingeEmbeddingParams {
  // Distance from which on pairs that are not alike cost nothing. Finite.
  double margin = 1;

  static void VisitOptions(auto& params, auto visit) {
    visit("margin", params.margin, kFinite);
  }
};

struct HingeEmbedding {
  static constexpr char kName[] = "hinge_embedding";
  using Params = HingeEmbeddingParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_HINGE_EMBEDDING_H_
