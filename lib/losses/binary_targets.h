#ifndef LOSSD_LIB_LOSSES_BINARY_TARGETS_H_
#define LOSSD_LIB_LOSSES_BINARY_TARGETS_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// The `explain` of losses whose targets are probabilities of yes, of kLogits or
// kProbabilities.
decltype(ElementwiseKernel::explain) ExplainBinary(PredictionKind kind);

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_BINARY_TARGETS_H_
