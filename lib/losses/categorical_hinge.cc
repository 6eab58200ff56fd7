#include "lib/losses/categorical_hinge.h"

#include "lib/kernels/multiclass_hinge.h"

namespace lossd {

LossKernel CategoricalHinge::Kernel(const Params& /*params*/,
                                    Semantics /*semantics*/) {
  return MulticlassHingeKernel({.form = HingeForm::kDense});
}

}  // namespace lossd
