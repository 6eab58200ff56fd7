// One row of each of the multi-class hinges. See multiclass_hinge.h.

#if defined(LOSSD_LIB_KERNELS_MULTICLASS_HINGE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_MULTICLASS_HINGE_INL_H_
#undef LOSSD_LIB_KERNELS_MULTICLASS_HINGE_INL_H_
#else
#define LOSSD_LIB_KERNELS_MULTICLASS_HINGE_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/margins-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// slopes[k] = value(lane, scores of all classes but the label's, which is
// -inf), for vectors from virtual lane `lane` on; not stored if null.
template <class T, class Value>
HWY_INLINE void ForEachOther(const T* row, size_t columns, size_t label,
                             T* slopes, Value value) {
  const ChunkTag<T> d;
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const size_t live = std::min(kSumLanes, columns - i);
    const T* scores = row + i;
    alignas(64) T copy[kSumLanes];
    const bool has_label = label >= i && label - i < live;
    if (HWY_UNLIKELY(has_label || live < kSumLanes)) {
      std::fill_n(copy, kSumLanes, kNone);
      std::memcpy(copy, scores, live * sizeof(T));
      if (has_label) copy[label - i] = kNone;
      scores = copy;
    }
    alignas(64) T results[kSumLanes];
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      hn::Store(value(lane, hn::LoadU(d, scores + lane)), d, results + lane);
    }
    if (slopes != nullptr) {
      std::memcpy(slopes + i, results, live * sizeof(T));
    }
  }
}

// Each function computes one row: its loss, and its gradient times `scale` if
// `gradient` is not null.

template <class T>
HWY_INLINE double LargestRow(const T* row, size_t columns, size_t label,
                             double scale, T* gradient) {
  const ChunkTag<T> d;
  auto most = hn::Set(d, -std::numeric_limits<T>::infinity());
  ForEachOther<T>(row, columns, label, nullptr, [&](size_t, auto v) HWY_ATTR {
    most = hn::Max(most, v);
    return v;
  });
  const T rival = hn::GetLane(hn::MaxOfLanes(d, most));
  const double missing = double{rival} - double{row[label]} + 1;
  const double loss = missing < 0 ? 0 : missing;
  if (gradient == nullptr) return loss;
  if (missing < 0) {
    std::fill_n(gradient, columns, T{0});
    return loss;
  }
  const auto rival_v = hn::Set(d, rival);
  size_t rivals = 0;
  ForEachOther<T>(row, columns, label, nullptr, [&](size_t, auto v) HWY_ATTR {
    rivals += hn::CountTrue(d, hn::Eq(v, rival_v));
    return v;
  });
  // At the kink the label is one of the largest itself.
  const auto others = static_cast<double>(rivals);
  const double largest = others + (missing == 0 ? 1 : 0);
  const auto share = hn::Set(d, static_cast<T>(scale / largest));
  ForEachOther<T>(row, columns, label, gradient, [&](size_t, auto v) HWY_ATTR {
    return hn::IfThenElseZero(hn::Eq(v, rival_v), share);
  });
  gradient[label] = static_cast<T>(-scale * others / largest);
  return loss;
}

template <class T>
HWY_INLINE double SumRow(bool squared, double margin, const T* row,
                         size_t columns, size_t label, double class_weight,
                         double scale, T* gradient) {
  const ChunkTag<T> d;
  const auto zero = hn::Zero(d);
  const double factor = class_weight / static_cast<double>(columns);
  const double slope_factor = scale * factor * (squared ? 2 : 1);
  const auto slope_factor_v = hn::Set(d, static_cast<T>(slope_factor));
  const Split<T> split_margin(margin);
  const auto right = hn::Set(d, row[label]);
  LaneAccumulator losses;
  LaneAccumulator slopes;
  ForEachOther<T>(
      row, columns, label, gradient, [&](size_t lane, auto v) HWY_ATTR {
        const auto ahead = Difference(d, v, right);
        const auto missing =
            hn::Add(split_margin.Plus(d, ahead.rounded), ahead.lost);
        const auto misses = hn::Gt(missing, zero);
        const auto power = squared ? missing : hn::Set(d, 1);
        const auto counted = hn::IfThenElseZero(misses, missing);
        // Squared as doubles, which keep all digits.
        ForEachDoubles<T>(counted, lane, [&](size_t at, auto part) HWY_ATTR {
          losses.AddDoubles(squared ? hn::Mul(part, part) : part, at);
        });
        slopes.Add<T>(hn::IfThenElseZero(misses, power), lane);
        return hn::IfThenElseZero(misses, hn::Mul(power, slope_factor_v));
      });
  // 0 minus, since minus 0 would be -0.
  if (gradient) {
    gradient[label] = static_cast<T>(0 - slope_factor * slopes.Sum());
  }
  return factor == 0 ? 0 : factor * losses.Sum();
}

// Calls fn(i + lane, lane, live lanes, score, target) for vectors of a row.
template <class Fn>
HWY_INLINE void ForEachPair(const double* row, const double* targets,
                            size_t columns, Fn fn) {
  const ChunkTag<double> d;
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const size_t live = std::min(kSumLanes, columns - i);
    const Chunk<double> scores(row + i, live, 0);
    const Chunk<double> masses(targets + i, live, 0);
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto inside = hn::FirstN(d, live - std::min(live, lane));
      fn(i, lane, inside, scores.Get(lane), masses.Get(lane));
    }
  }
}

HWY_INLINE double DenseRow(const double* row, const double* targets,
                           size_t columns, double scale, double* gradient) {
  const ChunkTag<double> d;
  using V = hn::Vec<ChunkTag<double>>;
  const V one = hn::Set(d, 1);
  const V none = hn::Neg(Infinity(d));
  // (1 - t) x, -inf behind the row's end.
  const auto other = [&](auto inside, V x, V t) HWY_ATTR {
    return hn::IfThenElse(inside, hn::Mul(hn::Sub(one, t), x), none);
  };
  V most = none;
  LaneAccumulator right;
  ForEachPair(row, targets, columns,
              [&](size_t, size_t lane, auto inside, V x, V t) HWY_ATTR {
                most = hn::Max(most, other(inside, x, t));
                right.AddDoubles(hn::Mul(t, x), lane);
              });
  const double rival = hn::GetLane(hn::MaxOfLanes(d, most));
  const double missing = rival - right.Sum() + 1;
  const double loss = missing < 0 ? 0 : missing;
  if (gradient == nullptr) return loss;
  if (missing < 0) {
    std::fill_n(gradient, columns, 0.0);
    return loss;
  }
  const V rival_v = hn::Set(d, rival);
  size_t rivals = 0;
  ForEachPair(row, targets, columns,
              [&](size_t, size_t, auto inside, V x, V t) HWY_ATTR {
                rivals +=
                    hn::CountTrue(d, hn::Eq(other(inside, x, t), rival_v));
              });
  const V share = hn::Set(d, scale / static_cast<double>(rivals));
  const V scale_v = hn::Set(d, scale);
  alignas(64) double slopes[kSumLanes];
  ForEachPair(row, targets, columns,
              [&](size_t i, size_t lane, auto inside, V x, V t) HWY_ATTR {
                const auto is_rival = hn::Eq(other(inside, x, t), rival_v);
                const V push = hn::IfThenElseZero(
                    is_rival, hn::Mul(share, hn::Sub(one, t)));
                hn::Store(hn::Sub(push, hn::Mul(scale_v, t)), d, slopes + lane);
                if (lane + hn::MaxLanes(d) < kSumLanes) return;
                std::memcpy(gradient + i, slopes,
                            std::min(kSumLanes, columns - i) * sizeof(double));
              });
  return loss;
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_MULTICLASS_HINGE_INL_H_
