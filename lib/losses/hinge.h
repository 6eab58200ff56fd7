#ifndef LOSSD_LIB_LOSSES_HINGE_H_
#define LOSSD_LIB_LOSSES_HINGE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Hinge loss, for maximum-margin classifiers.
//
//   m = 1 - y * prediction,  value = max(0, m),  slope = m >= 0 ? -y : 0
//
// Row        mean over the last axis.
// Domain     predictions finite; y is -1 or +1, with kZeroOne targets are 0 or
//            1 and y = 2 target - 1.
// Semantics  kKeras: a target 0 is read as -1 with kPlusMinusOne too.
// Diagnostics accuracy (prediction has the sign of y).
// Kinks      m = 0: slope -y, the active side.
// Convention keras.losses.Hinge on TensorFlow, which however guesses the
//            encoding from the batch. PyTorch has no hinge loss of this kind.
// Accuracy   value within 1 ulp of max(1, |prediction|), slope exact.
// Source     Cortes and Vapnik (1995), "Support-Vector Networks".
struct HingeParams {
  LabelEncoding label_encoding = LabelEncoding::kPlusMinusOne;

  static void VisitOptions(auto& params, auto visit) {
    visit("label_encoding", params.label_encoding, kBothEncodings);
  }
};

struct Hinge {
  static constexpr char kName[] = "hinge";
  using Params = HingeParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_HINGE_H_
