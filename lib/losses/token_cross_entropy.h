#ifndef LOSSD_LIB_LOSSES_TOKEN_CROSS_ENTROPY_H_
#define LOSSD_LIB_LOSSES_TOKEN_CROSS_ENTROPY_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Cross-entropy of tokens, each with a weight of any sign.
//
//   value = -w l,  slope = -w,  w = weights
//
// l is the log-probability of the token y that was taken: the prediction or,
// with kLogits, x_y - lse(x), and then d/dx_j = slope (1[j = y] - S_j).
//
// Row        with kLogProbabilities an element, and there are no targets; with
//            kLogits the last axis, targets are the tokens that were taken.
//            Extra input weights, one a row.
// Domain     log-probabilities and weights finite, logits as in
//            categorical_cross_entropy.h; where the weight is 0, l may be -inf,
//            and value and slope are 0.
// Kinks      none.
// Convention tinker's cross_entropy, whose sum is the reduction kSum. The same
//            under all semantics.
// Accuracy   float32: value and slope within 1 ulp, with kLogits value within 4
//            ulp and gradients as in kernels/cross_entropy.h.
// Source     Williams (1992), "Simple Statistical Gradient-Following
//            Algorithms", for weights that are rewards.
struct TokenCrossEntropyParams {
  // kLogits or kLogProbabilities.
  PredictionKind prediction_kind = PredictionKind::kLogProbabilities;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kLogitsOrLogProbabilities);
  }
};

struct TokenCrossEntropy {
  static constexpr char kName[] = "token_cross_entropy";
  using Params = TokenCrossEntropyParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_TOKEN_CROSS_ENTROPY_H_
