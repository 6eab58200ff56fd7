// One row of the cross-entropy family, for each kind of prediction. See
// cross_entropy.h.

#if defined(LOSSD_LIB_KERNELS_CROSS_ENTROPY_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_CROSS_ENTROPY_INL_H_
#undef LOSSD_LIB_KERNELS_CROSS_ENTROPY_INL_H_
#else
#define LOSSD_LIB_KERNELS_CROSS_ENTROPY_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "hwy/highway.h"
#include "lib/kernels/cross_entropy.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/row_targets-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// Calls fn(i, live) for the chunks of a row: elements i and up, `live` of 16.
template <class Fn>
HWY_INLINE void ForEachChunk(size_t columns, Fn fn) {
  for (size_t i = 0; i < columns; i += kSumLanes) {
    fn(i, std::min(kSumLanes, columns - i));
  }
}

// Sum over classes with mass of tau * (log target - log prediction), where
// log_prediction maps a prediction to its logarithm.
template <class T, class LogPrediction>
HWY_INLINE double CrossTerm(const T* predictions, size_t columns, T filler,
                            const RowTarget<T>& target,
                            LogPrediction log_prediction) {
  const ChunkTag<T> d;
  LaneAccumulator sum;
  ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
    const Chunk<T> x(predictions + i, live, filler);
    const Chunk<T> tau(target.tau + i, live, T{0});
    const T* logs = target.log_tau ? target.log_tau + i : target.tau + i;
    const Chunk<T> log_tau(logs, live, T{0});
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto mass = tau.Get(lane);
      auto difference = hn::Neg(log_prediction(x.Get(lane)));
      if (target.log_tau) {
        difference = hn::Add(log_tau.Get(lane), difference);
      }
      const auto term = hn::Mul(mass, difference);
      // Not Ne, which is false for NaN.
      sum.Add<T>(hn::IfThenZeroElse(hn::Eq(mass, hn::Zero(d)), term), lane);
    }
  });
  return sum.Sum();
}

// gradient_j = value(i, lane, live) of each vector; false if one is not finite.
template <class T, class Value>
HWY_INLINE bool StoreGradient(T* gradient, size_t columns, Value value) {
  const ChunkTag<T> d;
  auto poison = hn::Zero(d);
  ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
    alignas(64) T last[kSumLanes];
    T* out = live == kSumLanes ? gradient + i : last;
    value(i, live, [&](size_t lane, hn::Vec<ChunkTag<T>> v) HWY_ATTR {
      poison = hn::Add(poison, hn::Mul(v, hn::Zero(d)));
      hn::StoreU(v, d, out + lane);
    });
    if (out == last) std::copy_n(last, live, gradient + i);
  });
  return hn::GetLane(hn::SumOfLanes(d, poison)) == 0;
}

// The largest element; NaN if one is NaN or +inf.
template <class T>
HWY_INLINE T MaxOfLogits(const T* row, size_t columns) {
  const ChunkTag<T> d;
  constexpr T kImpossible = -std::numeric_limits<T>::infinity();
  auto max = hn::Set(d, kImpossible);
  auto allowed = hn::Eq(max, max);
  ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
    const Chunk<T> x(row + i, live, kImpossible);
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto v = x.Get(lane);
      max = hn::Max(max, v);
      allowed = hn::And(allowed, hn::Lt(v, Infinity(d)));
    }
  });
  if (!hn::AllTrue(d, allowed)) return std::numeric_limits<T>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

// Each function computes one row: its loss, and its gradient times `scale` if
// `gradient` is not null. False if the row is refused. `scratch` has room for
// the row, rounded up to whole chunks.

template <class T>
HWY_INLINE bool LogitsRow(const CrossEntropyOptions& options, const T* row,
                          size_t columns, const RowTarget<T>& target,
                          double scale, T* gradient, T* scratch, double* loss) {
  const ChunkTag<T> d;
  constexpr T kImpossible = -std::numeric_limits<T>::infinity();
  const T max = MaxOfLogits(row, columns);
  if (!std::isfinite(max)) return false;
  const auto max_v = hn::Set(d, max);

  LaneAccumulator below_max;
  size_t max_count = 0;
  ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
    const Chunk<T> x(row + i, live, kImpossible);
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto v = x.Get(lane);
      const auto exp = ExpOfDifference(d, v, max_v);
      const auto below = hn::Lt(v, max_v);
      hn::Store(exp, d, scratch + i + lane);
      max_count += hn::CountTrue(d, hn::Not(below));
      below_max.Add<T>(hn::IfThenElseZero(below, exp), lane);
    }
  });
  const double rest = static_cast<double>(max_count - 1) + below_max.Sum();
  const double sum = rest + 1;
  const double log_sum = Log1pOfPositive(rest);

  const size_t hot = target.hot;
  if (hot != kNotHot && !options.divergence) {
    // A class without weight costs nothing even where it is impossible.
    *loss = target.total == 0
                ? 0
                : target.total * (log_sum - (double{row[hot]} - double{max}));
  } else {
    *loss = target.total * log_sum +
            CrossTerm(row, columns, kImpossible, target,
                      [&](auto v) HWY_ATTR { return hn::Sub(v, max_v); });
  }
  const double log_sum_exp = log_sum + double{max};
  *loss += options.z_loss * log_sum_exp * log_sum_exp;
  const bool propagate = options.semantics != Semantics::kStrict;
  if (!propagate && !std::isfinite(*loss)) return false;
  if (gradient == nullptr) return true;

  const double pull = 2 * options.z_loss * log_sum_exp;
  const auto factor =
      hn::Set(d, static_cast<T>(scale * (target.total + pull) / sum));
  const auto minus_scale = hn::Set(d, static_cast<T>(-scale));
  if (hot == kNotHot) {
    return propagate |
           StoreGradient(gradient, columns,
                         [&](size_t i, size_t live, auto store) HWY_ATTR {
                           const Chunk<T> tau(target.tau + i, live, T{0});
                           for (size_t lane = 0; lane < kSumLanes;
                                lane += hn::MaxLanes(d)) {
                             const auto exp = hn::Load(d, scratch + i + lane);
                             store(lane, hn::MulAdd(minus_scale, tau.Get(lane),
                                                    hn::Mul(exp, factor)));
                           }
                         });
  }
  const double hot_exp = double{scratch[hot]};
  const double others = row[hot] < max ? sum - hot_exp : rest;
  const bool finite = StoreGradient(
      gradient, columns, [&](size_t i, size_t, auto store) HWY_ATTR {
        for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
          store(lane, hn::Mul(hn::Load(d, scratch + i + lane), factor));
        }
      });
  gradient[hot] =
      static_cast<T>(scale * (pull * hot_exp - target.total * others) / sum);
  return propagate || (finite && std::isfinite(gradient[hot]));
}

// T is double: see CrossEntropyOptions.
HWY_INLINE bool ProbabilitiesRow(const CrossEntropyOptions& options,
                                 const double* row, size_t columns,
                                 const RowTarget<double>& target, double scale,
                                 double sum_tolerance, double* gradient,
                                 double* loss) {
  const ChunkTag<double> d;
  const size_t hot = target.hot;
  const auto hot_v = hn::Set(d, static_cast<double>(hot));
  LaneAccumulator all_sum;
  LaneAccumulator others_sum;
  auto allowed = hn::Eq(hot_v, hot_v);
  ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
    const Chunk<double> q(row + i, live, 0);
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto v = q.Get(lane);
      const auto inside =
          hn::And(hn::Ge(v, hn::Zero(d)), hn::Le(v, hn::Set(d, 1)));
      allowed = hn::And(allowed, inside);
      const auto index = hn::Iota(d, static_cast<double>(i + lane));
      all_sum.AddDoubles(v, lane);
      others_sum.AddDoubles(hn::IfThenElseZero(hn::Ne(index, hot_v), v), lane);
    }
  });
  const double sum = all_sum.Sum();
  if (!hn::AllTrue(d, allowed)) return false;
  if (!(std::abs(sum - 1) <= sum_tolerance)) return false;

  const double others = others_sum.Sum();
  if (hot != kNotHot && target.total == 0) {
    *loss = 0;
  } else if (hot != kNotHot) {
    if (row[hot] == 0) return false;
    // -log(q / sum), from the sum of the others; a subnormal q has no ratio.
    const double ratio = others / row[hot];
    *loss = target.total * (std::isfinite(ratio)
                                ? Log1pOfPositive(ratio)
                                : LogOfPositive(sum) - LogOfPositive(row[hot]));
  } else {
    *loss = CrossTerm(row, columns, 0.0, target, [&](auto v) HWY_ATTR {
      return hn::IfThenElse(hn::Gt(v, hn::Zero(d)), LogOfPositive(d, v),
                            hn::Neg(Infinity(d)));
    });
    if (!options.divergence) *loss += target.total * LogOfPositive(sum);
  }
  if (!std::isfinite(*loss)) return false;
  if (gradient == nullptr) return true;

  const auto common =
      hn::Set(d, options.divergence ? 0 : scale * target.total / sum);
  const auto scale_v = hn::Set(d, scale);
  const bool finite = StoreGradient(
      gradient, columns, [&](size_t i, size_t live, auto store) HWY_ATTR {
        const Chunk<double> q(row + i, live, 1);
        const Chunk<double> tau(target.tau + i, live, 0);
        for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
          const auto mass = tau.Get(lane);
          const auto own = hn::Mul(scale_v, hn::Div(mass, q.Get(lane)));
          store(lane, hn::Sub(common, hn::IfThenElseZero(
                                          hn::Ne(mass, hn::Zero(d)), own)));
        }
      });
  if (hot == kNotHot || target.total == 0) return finite;
  gradient[hot] = -scale * target.total * (others / sum) / row[hot];
  return finite && std::isfinite(gradient[hot]);
}

template <class T>
HWY_INLINE bool LogProbabilitiesRow(Semantics semantics, const T* row,
                                    size_t columns, const RowTarget<T>& target,
                                    double scale, T* gradient, double* loss) {
  const ChunkTag<T> d;
  // NaN and +inf are refused even where no target mass meets them.
  if (semantics == Semantics::kStrict &&
      std::isnan(MaxOfLogits(row, columns))) {
    return false;
  }
  *loss =
      CrossTerm(row, columns, T{0}, target, [](auto v) HWY_ATTR { return v; });
  if (semantics == Semantics::kStrict && !std::isfinite(*loss)) return false;
  if (gradient == nullptr) return true;
  const auto scale_v = hn::Set(d, static_cast<T>(scale));
  return (semantics != Semantics::kStrict) |
         StoreGradient(
             gradient, columns,
             [&](size_t i, size_t live, auto store) HWY_ATTR {
               const Chunk<T> tau(target.tau + i, live, T{0});
               for (size_t lane = 0; lane < kSumLanes;
                    lane += hn::MaxLanes(d)) {
                 // 0 minus, since minus 0 times would be -0.
                 store(lane,
                       hn::Sub(hn::Zero(d), hn::Mul(scale_v, tau.Get(lane))));
               }
             });
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_CROSS_ENTROPY_INL_H_
