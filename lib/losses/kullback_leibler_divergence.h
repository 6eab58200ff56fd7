#ifndef LOSSD_LIB_LOSSES_KULLBACK_LEIBLER_DIVERGENCE_H_
#define LOSSD_LIB_LOSSES_KULLBACK_LEIBLER_DIVERGENCE_H_

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Kullback-Leibler divergence KL(targets || predictions), in nats.
//
//   T = sum t_k
//   logits x:          loss = sum t_k (log t_k - x_k + lse(x))
//                      d/dx_j = T S_j - t_j
//   probabilities q:   loss = sum t_k (log t_k - log q_k),  d/dq_j = -t_j / q_j
//   log-probabilities: loss = sum t_k (log t_k - l_k),      d/dl_j = -t_j
//
// Row        sum over the last axis.
// Domain     targets in [0, 1] (up to 1e-5 above), their rows need not sum to
//            1; with kLogProbabilities their logarithms, -inf meaning 0.
//            Predictions as in categorical_cross_entropy.h. Terms with t_k = 0
//            are 0.
// Semantics  kPytorch: the reduction MEAN divides by elements. Probabilities:
//            see kernels/cross_entropy.h; they are not divided by their sum.
//            Logits are never clipped.
// Kinks      none.
// Convention torch.nn.KLDivLoss (batchmean for matrices),
//            keras.losses.KLDivergence.
// Accuracy   computed in float64 for every dtype: near 0 the terms cancel.
// Source     Kullback and Leibler (1951), "On Information and Sufficiency".
struct KullbackLeiblerDivergenceParams {
  // kUnspecified is refused by kStrict, log-probabilities for kPytorch and
  // probabilities for kKeras.
  PredictionKind prediction_kind = PredictionKind::kUnspecified;
  TargetKind target_kind = TargetKind::kProbabilities;
  // Divides the logits. Finite, > 0; 1 unless predictions are logits.
  double temperature = 1;
  // Whether the loss is multiplied by the square of the temperature, so that
  // gradients keep their size.
  bool temperature_squared = true;
  // kKeras and probabilities only: smaller ones of both distributions count as
  // this one. In (0, 0.5).
  double epsilon = 1e-7;

  static void VisitOptions(auto& params, auto visit) {
    visit("prediction_kind", params.prediction_kind, kAnyPredictionKind);
    visit("target_kind", params.target_kind, kBothTargetKinds);
    visit("temperature", params.temperature, kPositive);
    visit("temperature_squared", params.temperature_squared, AnyValue());
    visit("epsilon", params.epsilon, kClipDistance);
  }
};

struct KullbackLeiblerDivergence {
  static constexpr char kName[] = "kullback_leibler_divergence";
  using Params = KullbackLeiblerDivergenceParams;
  static void Resolve(Semantics semantics, Params* params);
  static absl::Status Validate(const Params& params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_KULLBACK_LEIBLER_DIVERGENCE_H_
