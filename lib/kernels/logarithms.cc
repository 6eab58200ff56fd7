#include "lib/kernels/logarithms.h"

#include <cmath>
#include <limits>

#include "lib/core/violation.h"

namespace lossd {

std::optional<Offence> ExplainLogarithms(std::span<const double> row,
                                         bool logits, Offence::Tensor tensor) {
  bool possible = !logits;
  for (size_t k = 0; k < row.size(); ++k) {
    if (!(row[k] < std::numeric_limits<double>::infinity())) {
      return Offence{tensor, k, NumberText(row[k]),
                     "finite, or -inf for an impossible class"};
    }
    possible |= std::isfinite(row[k]);
  }
  if (possible) return std::nullopt;
  return Offence{tensor, 0, "a row of -inf only",
                 "a possible class in each row"};
}

}  // namespace lossd
