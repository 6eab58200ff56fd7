#ifndef LOSSD_LIB_LOSSES_COSINE_H_
#define LOSSD_LIB_LOSSES_COSINE_H_

#include <optional>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Cosine distance, for vectors whose direction matters and length does not.
//
//   A = max(|p|^2, epsilon),  B = max(|t|^2, epsilon),  c = p . t / sqrt(A B)
//   loss = 1 - c,  d/dp = -(t / sqrt(A B) - c p / A)
//
// Row        joint over the last axis.
// Domain     finite. Where p is 0, c and the gradient are 0; where |p|^2 is
//            less than epsilon, the gradient has no second term.
// Semantics  kKeras: loss = -c, epsilon is 1e-14 unless set.
// Kinks      p = 0 and |p|^2 = epsilon.
// Convention 1 - torch.nn.CosineSimilarity, keras.losses.CosineSimilarity (the
//            loss of which is -c).
// Accuracy   computed in float64 for every dtype: 1 - c cancels as directions
//            meet. Value within a few ulp by the stable form of
//            kernels/cosine.h (without FMA: within 2^-52 of the angle);
//            gradient within 2^-51 of 1 / |p|, its larger term.
// Source     Salton, Wong and Yang (1975), "A Vector Space Model for Automatic
//            Indexing".
struct CosineParams {
  // Floor of the squared lengths. Finite, > 0. Unset: 1e-12, for kKeras 1e-14.
  std::optional<double> epsilon;

  static void VisitOptions(auto& params, auto visit) {
    visit("epsilon", params.epsilon, kPositive);
  }
};

struct Cosine {
  static constexpr char kName[] = "cosine";
  using Params = CosineParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_COSINE_H_
