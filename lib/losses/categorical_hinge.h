#ifndef LOSSD_LIB_LOSSES_CATEGORICAL_HINGE_H_
#define LOSSD_LIB_LOSSES_CATEGORICAL_HINGE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Categorical hinge loss: how far the scores of the target fail to beat the
// best other one by 1.
//
//   z     = 1 + max_k((1 - t_k) x_k) - sum_k(t_k x_k),  value = max(0, z)
//   slope = (1 - t_j) / n if j is one of the n with the largest (1 - t_k) x_k,
//           else 0, minus t_j;  0 where z < 0
//
// The target itself takes part in the maximum, with 0 if it is one-hot.
//
// Row        joint.
// Domain     predictions finite, targets in [0, 1]; multi-hot and soft rows are
//            used as given.
// Diagnostics accuracy (the first largest prediction is the first largest
//            target).
// Kinks      z = 0: the active side. Equal maxima share their slope evenly.
// Convention keras.losses.CategoricalHinge on TensorFlow.
// Accuracy   always computed in float64, since the sum cancels with the
//            maximum; within 2^-50 of 1 + max |x| + sum |t x|, and then rounded
//            to the gradient's dtype.
// Source     Keras; after Crammer and Singer (2001), see multiclass_hinge.h.
struct CategoricalHingeParams {
  static void VisitOptions(auto& /*params*/, auto /*visit*/) {}
};

struct CategoricalHinge {
  static constexpr char kName[] = "categorical_hinge";
  using Params = CategoricalHingeParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_CATEGORICAL_HINGE_H_
