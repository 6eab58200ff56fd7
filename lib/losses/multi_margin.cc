#include "lib/losses/multi_margin.h"

#include "lib/kernels/multiclass_hinge.h"

namespace lossd {

LossKernel MultiMargin::Kernel(const Params& params, Semantics /*semantics*/) {
  LossKernel kernel = MulticlassHingeKernel(
      {.form = HingeForm::kSum, .p = params.p, .margin = params.margin});
  kernel.traits.column_input =
      ColumnInput{.name = "class_weights", .zero_allowed = true};
  kernel.traits.plain_mean = true;
  return kernel;
}

}  // namespace lossd
