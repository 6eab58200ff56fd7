// What the row kernels say of logits and logarithms.

#ifndef LOSSD_LIB_KERNELS_LOGARITHMS_H_
#define LOSSD_LIB_KERNELS_LOGARITHMS_H_

#include <optional>
#include <span>

#include "lib/kernels/loss_kernel.h"

namespace lossd {

// Why a row of logits or, unless `logits`, of log-probabilities is refused, as
// the tensor's; nothing if it is not. -inf is allowed, in logits for all but
// one class.
std::optional<Offence> ExplainLogarithms(std::span<const double> row,
                                         bool logits, Offence::Tensor tensor);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_LOGARITHMS_H_
