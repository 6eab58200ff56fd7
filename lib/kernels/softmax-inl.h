// The softmax of a row of logits, in the parts of which stable losses are made.

#if defined(LOSSD_LIB_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_SOFTMAX_INL_H_
#undef LOSSD_LIB_KERNELS_SOFTMAX_INL_H_
#else
#define LOSSD_LIB_KERNELS_SOFTMAX_INL_H_
#endif

#include <cmath>
#include <cstddef>
#include <limits>

#include "hwy/highway.h"
#include "lib/kernels/cross_entropy-inl.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

template <class T>
struct Softmax {
  // False for a row that has none: a NaN, a +inf, or -inf only. The rest is
  // then unset.
  bool possible = false;
  // Largest logit.
  T max = 0;
  // Sum of exp(x_j - max), and the same without one of the largest.
  double sum = 0;
  double rest = 0;
  // Of `sum`, from `rest`: keeps the digits of a confident row.
  double log_sum = 0;
};

// exps_j = exp(x_j - max). `exps` has room for whole chunks.
template <class T>
HWY_INLINE Softmax<T> SoftmaxOf(const T* row, size_t columns, T* exps) {
  const ChunkTag<T> d;
  Softmax<T> softmax;
  softmax.max = MaxOfLogits(row, columns);
  if (!std::isfinite(softmax.max)) return softmax;
  softmax.possible = true;
  const auto max = hn::Set(d, softmax.max);
  LaneAccumulator below_max;
  size_t max_count = 0;
  ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
    const Chunk<T> x(row + i, live, -std::numeric_limits<T>::infinity());
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto v = x.Get(lane);
      const auto exp = ExpOfDifference(d, v, max);
      const auto below = hn::Lt(v, max);
      hn::Store(exp, d, exps + i + lane);
      max_count += hn::CountTrue(d, hn::Not(below));
      below_max.Add<T>(hn::IfThenElseZero(below, exp), lane);
    }
  });
  softmax.rest = static_cast<double>(max_count - 1) + below_max.Sum();
  softmax.sum = softmax.rest + 1;
  softmax.log_sum = Log1pOfPositive(softmax.rest);
  return softmax;
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_SOFTMAX_INL_H_
