#ifndef LOSSD_LIB_KERNELS_CROSS_ENTROPY_H_
#define LOSSD_LIB_KERNELS_CROSS_ENTROPY_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// How far above 1 a target may be: soft labels come rounded.
inline constexpr double kTargetTolerance = 1e-5;

// How far from 1 a row of probabilities may sum up to.
inline constexpr double kProbabilitySumTolerance = 1e-4;

// What sets the members of the cross-entropy family apart.
struct CrossEntropyOptions {
  PredictionKind prediction_kind = PredictionKind::kLogits;
  double label_smoothing = 0;
  // kLogits only.
  double z_loss = 0;
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
// Thread-safe. `labels`, `ignore_index` and `column_input` of the kernel are
// for the loss to set.
RowwiseKernel CrossEntropyKernel(const CrossEntropyOptions& options);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_CROSS_ENTROPY_H_
