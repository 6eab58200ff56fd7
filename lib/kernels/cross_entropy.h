#ifndef LOSSD_LIB_KERNELS_CROSS_ENTROPY_H_
#define LOSSD_LIB_KERNELS_CROSS_ENTROPY_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// How far above 1 a target may be: soft labels come rounded.
inline constexpr double kTargetTolerance = 1e-5;

// How far from 1 a row of probabilities may sum up to.
constexpr double ProbabilitySumTolerance(bool half_predictions) {
  return half_predictions ? 1e-2 : 1e-4;
}

// What sets the members of the cross-entropy family apart.
struct CrossEntropyOptions {
  PredictionKind prediction_kind = PredictionKind::kLogits;
  Semantics semantics = Semantics::kStrict;
  double label_smoothing = 0;
  // kLogits only.
  double z_loss = 0;
  // kLogits only: x becomes softcap tanh(x / softcap) unless that is 0, and is
  // then divided by the temperature.
  double logit_softcap = 0;
  double temperature = 1;
  // Multiplies losses and gradients.
  double factor = 1;
  // What kKeras keeps probabilities from 0 and 1 by.
  double epsilon = 1e-7;
  TailPolicy tail_policy = TailPolicy::kDrop;
  // Targets may be above 1.
  bool any_mass = false;
  // Subtracts the entropy of the targets: the Kullback-Leibler divergence,
  // which does not renormalise probabilities.
  bool divergence = false;
  // Targets are logarithms; divergence only.
  bool log_targets = false;
};

// The row kernel of categorical and sparse categorical cross-entropy and of
// the Kullback-Leibler divergence; their headers give the formulas. Labels are
// turned into one-hot rows, and one-hot rows are computed as labels, so both
// have the same bits.
//
// Stable forms: with M the largest logit and n how often it occurs,
//   lse(x) - M = log1p((n - 1) + sum over x_j < M of exp(x_j - M)),
// which keeps all digits of a confident right answer; the slope of the class
// of a one-hot row is minus the sum of the others, never S - 1. Row sums are
// double; exponentials have the type of the arguments.
//
// Accuracy of float: row losses within 4 ulp; a gradient element within 4 ulp
// or 2^-23 of the largest term (scale * softmax or scale * target) of its row.
// Probabilities and divergences must be run in double: their terms cancel.
//
// Probabilities under other semantics than kStrict, L = log:
//   kPytorch  loss = -sum tau_k max(L q_k, -100), d/dq_j = -tau_j / max(q_j,
//             1e-12), used as given
//   kKeras    p = q / Q clipped to [epsilon, 1 - epsilon], loss = -sum tau_k
//             L p_k, d/dq_j = T_a / Q - tau_j / q_j over the classes that are
//             not clipped (T_a their mass), T_a / Q for the others; divergence:
//             t and q clipped to [epsilon, 1], loss = sum t_k L(t_k / q_k),
//             d/dq_j = -t_j / q_j, 0 where q_j is clipped
//
// With kLogits the loss has the diagnostics accuracy, entropy, perplexity and
// mean_target_probability, else accuracy.
//
// Thread-safe. `targets` and `ignore_index` of the traits are for the loss to
// set.
LossKernel CrossEntropyKernel(const CrossEntropyOptions& options);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_CROSS_ENTROPY_H_
