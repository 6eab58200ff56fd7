#ifndef LOSSD_LIB_LOSSES_SOFT_MARGIN_H_
#define LOSSD_LIB_LOSSES_SOFT_MARGIN_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Soft margin loss: the logistic loss of labels -1 and +1.
//
//   value = log(1 + e^(-y * prediction))
//   slope = -y / (1 + e^(y * prediction))
//
// Row        mean over the last axis.
// Domain     predictions finite; y is -1 or +1, with kZeroOne targets are 0 or
//            1 and y = 2 target - 1.
// Semantics  not kStrict: a y that is neither is computed with; 0 is never read
//            as -1.
// Diagnostics accuracy (prediction has the sign of y).
// Kinks      none.
// Convention torch.nn.SoftMarginLoss, which overflows from about 88 on in
//            float32. Binary cross-entropy of logits for targets 0 and 1.
// Accuracy   float32: value and slope within 4 ulp.
// Source     Cox (1958), "The Regression Analysis of Binary Sequences".
struct SoftMarginParams {
  LabelEncoding label_encoding = LabelEncoding::kPlusMinusOne;

  static void VisitOptions(auto& params, auto visit) {
    visit("label_encoding", params.label_encoding, kBothEncodings);
  }
};

struct SoftMargin {
  static constexpr char kName[] = "soft_margin";
  using Params = SoftMarginParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_SOFT_MARGIN_H_
