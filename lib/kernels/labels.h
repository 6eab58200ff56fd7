// What the row kernels say of class labels.

#ifndef LOSSD_LIB_KERNELS_LABELS_H_
#define LOSSD_LIB_KERNELS_LABELS_H_

#include <optional>

#include "lib/kernels/loss_kernel.h"

namespace lossd {

// Why the row's label is refused; nothing if it has none or a class.
std::optional<Offence> ExplainLabel(const RowView& row);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_LABELS_H_
