#ifndef LOSSD_LIB_LOSSES_MULTICLASS_HINGE_H_
#define LOSSD_LIB_LOSSES_MULTICLASS_HINGE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Multi-class hinge loss of Crammer and Singer, of class labels y.
//
//   z     = 1 + max over k != y of x_k - x_y,  value = max(0, z)
//   slope = 1 / n for each of the n others that have the largest score, -1 for
//           y;  0 where z < 0
//
// The same as max over k of (x_k + [k != y]) - x_y.
//
// Row        joint.
// Domain     predictions finite; labels int32 or int64 in [0, C). With one
//            class the loss is 0.
// Diagnostics accuracy (the first largest prediction is the label's).
// Kinks      equal maxima share their slope evenly, at z = 0 y among them: 1 /
//            (n + 1) for each, -n / (n + 1) for y.
// Convention optax.multiclass_hinge_loss. Neither PyTorch nor Keras has it.
// Accuracy   float32: value within 1 ulp of float64, slope within 1 ulp.
// Source     Crammer and Singer (2001), "On the Algorithmic Implementation of
//            Multiclass Kernel-based Vector Machines".
struct MulticlassHingeParams {
  static void VisitOptions(auto& /*params*/, auto /*visit*/) {}
};

struct MulticlassHinge {
  static constexpr char kName[] = "multiclass_hinge";
  using Params = MulticlassHingeParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MULTICLASS_HINGE_H_
