#ifndef LOSSD_LIB_KERNELS_OVERLAP_H_
#define LOSSD_LIB_KERNELS_OVERLAP_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

struct OverlapOptions {
  PredictionKind prediction_kind = PredictionKind::kLogits;
  Semantics semantics = Semantics::kStrict;
  Scope scope = Scope::kSample;
  // Weights of false positives and false negatives.
  double alpha = 0.5;
  double beta = 0.5;
  // Added to numerator and denominator of the overlap.
  double smooth_numerator = 0;
  double smooth_denominator = 0;
};

// The row kernel of dice and tversky; their headers give the formulas. With
//   I = sum q t,  P = sum q (1 - t),  M = sum (1 - q) t,
//   A = I + smooth_numerator,  B = I + alpha P + beta M + smooth_denominator
// the loss is 1 - A / B, which is dice's with alpha = beta = 1/2 and half its
// smooth.
//
// Stable forms: B - A adds up terms >= 0 only, so (B - A) / B keeps the digits
// of a mask that is nearly right; 1 - s(x) is s(-x);
//   d/dq = (a A - t (B - A)) / B^2,  a = alpha (1 - t) - beta t,
// which is one term where t is 0 or 1.
//
// Accuracy of float: row losses within 4 ulp; gradients within 4 ulp or 2^-23
// of the largest term (alpha A / B^2, beta A / B^2 + (B - A) / B^2) of the row;
// measured 2.5 and 2.9 for logits, 1.5 and 2.5 for probabilities.
LossKernel OverlapKernel(const OverlapOptions& options);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_OVERLAP_H_
