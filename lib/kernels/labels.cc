#include "lib/kernels/labels.h"

#include <string>

namespace lossd {

std::optional<Offence> ExplainLabel(const RowView& row) {
  const size_t classes = row.predictions.size();
  if (!row.label ||
      (*row.label >= 0 && static_cast<uint64_t>(*row.label) < classes)) {
    return std::nullopt;
  }
  return Offence{Offence::Tensor::kTargets, 0,
                 "label " + std::to_string(*row.label),
                 "0 to " + std::to_string(classes - 1) + " for " +
                     std::to_string(classes) + " classes: labels are 0-based"};
}

}  // namespace lossd
