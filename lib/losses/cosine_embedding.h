#ifndef LOSSD_LIB_LOSSES_COSINE_EMBEDDING_H_
#define LOSSD_LIB_LOSSES_COSINE_EMBEDDING_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Cosine embedding loss, for pairs of vectors that are alike or not.
//
//   o = other_predictions,  c = cosine of p and o as in cosine.h
//   y = +1: loss = 1 - c,               d/dp = -(o / sqrt(A B) - c p / A)
//   y = -1: loss = max(0, c - margin),  d/dp = o / sqrt(A B) - c p / A where
//           c >= margin, else 0
//   d/do is the same with p and o exchanged.
//
// Row        joint over the last axis; one target y a row.
// Inputs     other_predictions, as predictions; has a gradient.
// Domain     predictions and other_predictions finite, y is -1 or +1. The
//            squares of the lengths are at least 1e-12; a vector 0 has the
//            gradient 0.
// Semantics  kPytorch, kKeras: as PyTorch, which adds 1e-12 (as a float32) to
//            the squares of the lengths instead, so that a vector 0 has a
//            gradient of up to 1e6; other targets than -1 and +1 have loss 0.
// Kinks      c = margin: the slope of c > margin, the active side.
// Convention torch.nn.CosineEmbeddingLoss.
// Accuracy   as cosine.h.
// Source     Hadsell, Chopra and LeCun (2006), "Dimensionality Reduction by
//            Learning an Invariant Mapping", for the pairs.
struct CosineEmbeddingParams {
  // In [-1, 1].
  double margin = 0;

  static void VisitOptions(auto& params, auto visit) {
    visit("margin", params.margin, NumberRange{.minimum = -1, .maximum = 1});
  }
};

struct CosineEmbedding {
  static constexpr char kName[] = "cosine_embedding";
  using Params = CosineEmbeddingParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_COSINE_EMBEDDING_H_
