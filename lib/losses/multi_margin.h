#ifndef LOSSD_LIB_LOSSES_MULTI_MARGIN_H_
#define LOSSD_LIB_LOSSES_MULTI_MARGIN_H_

#include <cstdint>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Multi-class margin loss, of class labels y.
//
//   z_k   = margin - x_y + x_k,  c class weights
//   value = c_y / C sum over k != y with z_k > 0 of z_k^p
//   slope = c_y / C p z_k^(p - 1) for k != y with z_k > 0, else 0;  for y minus
//           the sum of the others
//
// Row        joint, divided by the C classes.
// Inputs     class_weights [C], finite, >= 0, not all 0.
// Domain     predictions finite; labels int32 or int64 in [0, C). With one
//            class the loss is 0.
// Semantics  kPytorch: class weights do not enter the divisor of the default
//            reduction, which is MEAN, unlike that of cross-entropy. NaN
//            scores make their row NaN, where PyTorch leaves them out.
// Diagnostics accuracy (the first largest prediction is the label's).
// Kinks      z_k = 0 with p = 1: slope 0, as in PyTorch.
// Convention torch.nn.MultiMarginLoss.
// Accuracy   float32: value and slopes within 4 ulp; z_k keeps its digits also
//            where the difference nearly is the margin.
// Source     Weston and Watkins (1999), "Support Vector Machines for
//            Multi-Class Pattern Recognition".
struct MultiMarginParams {
  // Power of what is lacking to the margin: 1 or 2.
  int64_t p = 1;
  // By how much the label's score is to beat the others. Finite.
  double margin = 1;

  static void VisitOptions(auto& params, auto visit) {
    visit("p", params.p, NumberRange{.minimum = 1, .maximum = 2});
    visit("margin", params.margin, kFinite);
  }
};

struct MultiMargin {
  static constexpr char kName[] = "multi_margin";
  using Params = MultiMarginParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MULTI_MARGIN_H_
