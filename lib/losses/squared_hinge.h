#ifndef LOSSD_LIB_LOSSES_SQUARED_HINGE_H_
#define LOSSD_LIB_LOSSES_SQUARED_HINGE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Squared hinge loss, for maximum-margin classifiers with a smooth slope.
//
//   u = max(0, 1 - y * prediction),  value = u^2,  slope = -2 y u
//
// Row        mean over the last axis.
// Domain     predictions finite; y is -1 or +1, with kZeroOne targets are 0 or
//            1 and y = 2 target - 1.
// Semantics  kKeras: a target 0 is read as -1 with kPlusMinusOne too.
// Diagnostics accuracy (prediction has the sign of y).
// Kinks      none in value or slope.
// Convention keras.losses.SquaredHinge, which however guesses the encoding from
//            the batch. PyTorch has no such loss.
// Accuracy   float32: value and slope within 2 ulp.
// Source     Tang (2013), "Deep Learning using Linear Support Vector Machines".
struct SquaredHingeParams {
  LabelEncoding label_encoding = LabelEncoding::kPlusMinusOne;

  static void VisitOptions(auto& params, auto visit) {
    visit("label_encoding", params.label_encoding, kBothEncodings);
  }
};

struct SquaredHinge {
  static constexpr char kName[] = "squared_hinge";
  using Params = SquaredHingeParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_SQUARED_HINGE_H_
