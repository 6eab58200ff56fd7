// Why rows are refused, for people: what several row kernels say.

#ifndef LOSSD_LIB_KERNELS_EXPLAIN_H_
#define LOSSD_LIB_KERNELS_EXPLAIN_H_

#include <optional>

#include "lib/kernels/loss_kernel.h"

namespace lossd {

// The first prediction or, after them, target that is not finite; nothing if
// all are.
std::optional<Offence> ExplainNotFinite(const RowView& row);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_EXPLAIN_H_
