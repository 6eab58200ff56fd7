#ifndef LOSSD_LIB_LOSSES_SIGN_LABELS_H_
#define LOSSD_LIB_LOSSES_SIGN_LABELS_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// The `explain` of losses whose targets are two classes as signs.
decltype(ElementwiseKernel::explain) ExplainLabels(LabelEncoding encoding);

// The same for losses that know only -1 and +1.
decltype(ElementwiseKernel::explain) ExplainSigns();

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_SIGN_LABELS_H_
