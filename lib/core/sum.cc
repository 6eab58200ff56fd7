#include "lib/core/sum.h"

#include <array>
#include <bit>

namespace lossd {

double LaneSum(std::span<const double> numbers) {
  std::array<double, kSumLanes> lanes{};
  size_t i = 0;
  for (; i + kSumLanes <= numbers.size(); i += kSumLanes) {
    for (size_t lane = 0; lane < kSumLanes; ++lane) {
      lanes[lane] += numbers[i + lane];
    }
  }
  for (size_t lane = 0; i + lane < numbers.size(); ++lane) {
    lanes[lane] += numbers[i + lane];
  }
  return CombineLanes(lanes);
}

double TreeSum(std::span<const double> partials) {
  if (partials.empty()) return 0;
  if (partials.size() == 1) return partials[0];
  const size_t half = std::bit_ceil(partials.size()) / 2;
  return TreeSum(partials.first(half)) + TreeSum(partials.subspan(half));
}

}  // namespace lossd
