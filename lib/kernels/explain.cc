#include "lib/kernels/explain.h"

#include <cmath>

#include "lib/core/violation.h"

namespace lossd {

std::optional<Offence> ExplainNotFinite(const RowView& row) {
  for (const auto tensor :
       {Offence::Tensor::kPredictions, Offence::Tensor::kTargets}) {
    const auto numbers =
        tensor == Offence::Tensor::kPredictions ? row.predictions : row.targets;
    for (size_t k = 0; k < numbers.size(); ++k) {
      if (std::isfinite(numbers[k])) continue;
      return Offence{tensor, k, NumberText(numbers[k]), "finite numbers"};
    }
  }
  return std::nullopt;
}

}  // namespace lossd
