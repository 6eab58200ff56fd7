#include "lib/losses/multiclass_hinge.h"

#include "lib/kernels/multiclass_hinge.h"

namespace lossd {

LossKernel MulticlassHinge::Kernel(const Params& /*params*/,
                                   Semantics /*semantics*/) {
  return MulticlassHingeKernel({.form = HingeForm::kLargest});
}

}  // namespace lossd
