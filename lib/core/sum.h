// The two orders in which everything is added up, whatever the threads.

#ifndef LOSSD_LIB_CORE_SUM_H_
#define LOSSD_LIB_CORE_SUM_H_

#include <cstddef>
#include <span>

namespace lossd {

// Lanes of every sum: number i is added in lane i mod 16. Two registers of
// AVX-512, four of AVX2; also what plain code does.
inline constexpr size_t kSumLanes = 16;

// Adds up the lanes by a fixed tree. Destroys `lanes`.
inline double CombineLanes(std::span<double, kSumLanes> lanes) {
  for (size_t width = kSumLanes / 2; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// Sum of some numbers in lanes.
double LaneSum(std::span<const double> numbers);

// Sum of partial sums by a fixed tree over their positions: halves, the first
// of which is a power of two long.
double TreeSum(std::span<const double> partials);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_SUM_H_
