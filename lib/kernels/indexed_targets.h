#ifndef LOSSD_LIB_KERNELS_INDEXED_TARGETS_H_
#define LOSSD_LIB_KERNELS_INDEXED_TARGETS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "lib/core/spec.h"

namespace lossd {

// targets = the `count` weights at the classes of the same `indices`, as the
// policy completes them; false, with `targets` in any state, if a weight is
// negative or not finite, or a class with weight does not exist. Thread-safe.
template <class T>
bool ScatterTargets(TailPolicy policy, const T* weights, const int64_t* indices,
                    size_t count, size_t columns, T* targets) {
  std::fill_n(targets, columns, T{0});
  double total = 0;
  for (size_t k = 0; k < count; ++k) {
    // Padding, whatever its class.
    if (weights[k] == 0) continue;
    const int64_t index = indices[k];
    if (index < 0 || static_cast<uint64_t>(index) >= columns) return false;
    if (!(weights[k] > 0) || !(weights[k] < std::numeric_limits<T>::infinity()))
      return false;
    targets[index] += weights[k];
    total += double{weights[k]};
  }
  if (policy == TailPolicy::kRenormalize && total > 0) {
    for (size_t k = 0; k < columns; ++k) {
      targets[k] = static_cast<T>(double{targets[k]} / total);
    }
  }
  if (policy == TailPolicy::kUniformTail && total < 1) {
    const auto others =
        static_cast<double>(std::count(targets, targets + columns, T{0}));
    std::replace(targets, targets + columns, T{0},
                 static_cast<T>((1 - total) / others));
  }
  return true;
}

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_INDEXED_TARGETS_H_
