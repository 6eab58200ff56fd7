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

#include "hwy/cache_control.h"
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

// The `live` numbers from `from`, a vector at most; 0 in the lanes behind them.
template <class T>
HWY_INLINE hn::Vec<ChunkTag<T>> LoadPart(const T* from, size_t live) {
  const ChunkTag<T> d;
  if (HWY_LIKELY(live >= hn::MaxLanes(d))) return hn::LoadU(d, from);
  return hn::MaskedLoad(hn::FirstN(d, live), d, from);
}

// gradient_i.. = value(i, live) of each vector, `live` of whose lanes count;
// false if one is not finite. Vectors lie at any i: those that are streamed are
// aligned in the gradient.
template <bool kStream, class T, class Value>
HWY_INLINE bool StoreGradient(T* gradient, size_t columns, Value value,
                              size_t hot = kNotHot, T hot_value = 0) {
  const ChunkTag<T> d;
  constexpr size_t kWidth = hn::MaxLanes(d);
  constexpr size_t kBytes = kWidth * sizeof(T);
  auto poison = hn::Zero(d);
  const auto insert = [&](auto v, size_t i) HWY_ATTR {
    if (hot - i >= kWidth) return v;
    // The lane alone; with an offset in T, in which i might be rounded.
    const auto here =
        hn::Eq(hn::Iota(d, T{0}), hn::Set(d, static_cast<T>(hot - i)));
    return hn::IfThenElse(here, hn::Set(d, hot_value), v);
  };
  const auto store_part = [&](size_t i, size_t live) HWY_ATTR {
    const auto mask = hn::FirstN(d, live);
    const auto v = hn::IfThenElseZero(mask, insert(value(i, live), i));
    poison = hn::MulAdd(v, hn::Zero(d), poison);
    hn::BlendedStore(v, mask, d, gradient + i);
  };
  size_t i = 0;
  if constexpr (kStream) {
    const size_t beyond = reinterpret_cast<uintptr_t>(gradient) % kBytes;
    i = std::min(columns, (kBytes - beyond) % kBytes / sizeof(T));
    if (i > 0) store_part(0, i);
  }
  for (; i + kWidth <= columns; i += kWidth) {
    auto v = value(i, kWidth);
    if (HWY_UNLIKELY(hot - i < kWidth)) v = insert(v, i);
    poison = hn::MulAdd(v, hn::Zero(d), poison);
    if constexpr (kStream) {
      hn::Stream(v, d, gradient + i);
    } else {
      hn::StoreU(v, d, gradient + i);
    }
  }
  if (i < columns) store_part(i, columns - i);
  return hn::GetLane(hn::SumOfLanes(d, poison)) == 0;
}

// The largest element; NaN if one is NaN or +inf.
template <class T>
HWY_INLINE T MaxOfLogits(const T* row, size_t columns) {
  const ChunkTag<T> d;
  constexpr T kImpossible = -std::numeric_limits<T>::infinity();
  auto max = hn::Set(d, kImpossible);
  auto allowed = hn::Eq(max, max);
  const size_t whole = columns / kSumLanes * kSumLanes;
  for (size_t i = 0; i < whole; i += hn::MaxLanes(d)) {
    const auto v = hn::LoadU(d, row + i);
    max = hn::Max(max, v);
    allowed = hn::And(allowed, hn::Lt(v, Infinity(d)));
  }
  if (whole < columns) {
    const Chunk<T> x(row + whole, columns - whole, kImpossible);
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto v = x.Get(lane);
      max = hn::Max(max, v);
      allowed = hn::And(allowed, hn::Lt(v, Infinity(d)));
    }
  }
  if (!hn::AllTrue(d, allowed)) return std::numeric_limits<T>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

// The first element that is not 0; any, if shared memory has none any more.
template <class T>
HWY_INLINE size_t FirstWithMass(const T* row, size_t columns) {
  const ChunkTag<T> d;
  for (size_t i = 0; i + hn::MaxLanes(d) <= columns; i += hn::MaxLanes(d)) {
    const intptr_t at =
        hn::FindFirstTrue(d, hn::Ne(hn::LoadU(d, row + i), hn::Zero(d)));
    if (at >= 0) return i + static_cast<size_t>(at);
  }
  const T* const rest = row + columns / hn::MaxLanes(d) * hn::MaxLanes(d);
  const T* const found =
      std::find_if(rest, row + columns, [](T t) { return t != 0; });
  return found == row + columns ? 0 : static_cast<size_t>(found - row);
}

// Sums over a row of dense targets as the caller sent them, taken vector by
// vector beside other work on the row.
template <class T>
class TargetSums {
 public:
  explicit TargetSums(bool divergence) : divergence_(divergence) {}

  // `log_prediction`: logit minus the largest.
  HWY_INLINE void Add(hn::Vec<ChunkTag<T>> t,
                      hn::Vec<ChunkTag<T>> log_prediction, size_t lane) {
    lowest_ = hn::Min(lowest_, t);
    largest_ = hn::Max(largest_, t);
    const auto mass = hn::Ne(t, hn::Zero(D()));
    classes_ = hn::Add(classes_, hn::IfThenElseZero(mass, hn::Set(D(), T{1})));
    total_.template Add<T>(t, lane);
    V difference = hn::Neg(log_prediction);
    if (divergence_) difference = hn::Add(LogOfPositive(D(), t), difference);
    cross_.template Add<T>(hn::IfThenElseZero(mass, hn::Mul(t, difference)),
                           lane);
  }

  // Completes `target`, whose tau are given; false if one is not allowed.
  HWY_INLINE bool Finish(size_t columns, RowTarget<T>* target) const {
    constexpr T kLimit = static_cast<T>(1 + kTargetTolerance);
    target->total = total_.Sum();
    // NaN is in the sum; comparisons of minima may have missed it.
    if (!std::isfinite(target->total)) return false;
    if (!(hn::GetLane(hn::MinOfLanes(D(), lowest_)) >= 0)) return false;
    if (!(hn::GetLane(hn::MaxOfLanes(D(), largest_)) <= kLimit)) return false;
    if (hn::GetLane(hn::SumOfLanes(D(), classes_)) != 1) return true;
    target->hot = FirstWithMass(target->tau, columns);
    return true;
  }

  HWY_INLINE double Cross() const { return cross_.Sum(); }

 private:
  using D = ChunkTag<T>;
  using V = hn::Vec<D>;
  const bool divergence_;
  V lowest_ = hn::Zero(D());
  V largest_ = hn::Zero(D());
  V classes_ = hn::Zero(D());
  LaneAccumulator total_;
  LaneAccumulator cross_;
};

// Each function computes one row: its loss, and its gradient times `scale` if
// `gradient` is not null. False if the row is refused. `scratch` has room for
// the row, rounded up to whole chunks.

// Exponentials of a row into `scratch`, and their sums.
template <class T>
struct RowExps {
  explicit HWY_INLINE RowExps(T largest)
      : max(hn::Set(D(), largest)), exp(largest) {}

  HWY_INLINE void Add(hn::Vec<ChunkTag<T>> x, size_t lane, T* to) {
    const D d;
    const auto e = exp(d, x);
    const auto below = hn::Lt(x, max);
    hn::Store(e, d, to);
    maxima = hn::Add(maxima, hn::IfThenZeroElse(below, hn::Set(d, T{1})));
    below_max.template Add<T>(hn::IfThenElseZero(below, e), lane);
  }

  // Sum of exp(x - max), but for one that is the largest.
  HWY_INLINE double Rest() const {
    return (hn::GetLane(hn::SumOfLanes(D(), maxima)) - 1.0) +
           below_max.Sum() / exp.unit();
  }

  using D = ChunkTag<T>;
  hn::Vec<D> max;
  ExpBelow<T> exp;
  hn::Vec<D> maxima = hn::Zero(D());
  LaneAccumulator below_max;
};

// Calls step(i, x, tau) for the vectors of a row, in which missing elements are
// impossible classes without mass.
template <bool kTargets, class T, class Step>
HWY_INLINE void ForEachLogits(const T* row, const T* tau, size_t columns,
                              Step step) {
  const ChunkTag<T> d;
  constexpr size_t kWidth = hn::MaxLanes(d);
  size_t i = 0;
  for (; i + kWidth <= columns; i += kWidth) {
    // The next row, which the caches will not expect before it begins.
    hwy::Prefetch(row + columns + i);
    if constexpr (kTargets) hwy::Prefetch(tau + columns + i);
    step(i, hn::LoadU(d, row + i),
         kTargets ? hn::LoadU(d, tau + i) : hn::Zero(d));
  }
  if (i == columns) return;
  const auto live = hn::FirstN(d, columns - i);
  const auto x = hn::IfThenElse(live, hn::MaskedLoad(live, d, row + i),
                                hn::Neg(Infinity(d)));
  step(i, x, kTargets ? hn::MaskedLoad(live, d, tau + i) : hn::Zero(d));
}

template <class T>
HWY_INLINE bool LogitsRow(const CrossEntropyOptions& options, const T* row,
                          size_t columns, RowTarget<T> target, double scale,
                          T* gradient, bool stream, T* scratch, double* loss) {
  const ChunkTag<T> d;
  constexpr T kImpossible = -std::numeric_limits<T>::infinity();
  if (stream && gradient != nullptr) {
    // Lines that this row shares with its neighbours are not streamed.
    hwy::Prefetch(gradient);
    hwy::Prefetch(gradient + columns);
  }
  const T max = MaxOfLogits(row, columns);
  if (!std::isfinite(max)) return false;
  const auto max_v = hn::Set(d, max);

  RowExps<T> exps(max);
  double cross = 0;
  if (!target.scanned) {
    const auto run = [&](TargetSums<T> sums) HWY_ATTR {
      ForEachLogits<true>(row, target.tau, columns,
                          [&](size_t i, auto x, auto t) HWY_ATTR {
                            const size_t lane = i % kSumLanes;
                            exps.Add(x, lane, scratch + i);
                            sums.Add(t, hn::Sub(x, max_v), lane);
                          });
      cross = sums.Cross();
      return sums.Finish(columns, &target);
    };
    if (!(options.divergence ? run(TargetSums<T>(true))
                             : run(TargetSums<T>(false)))) {
      return false;
    }
  } else {
    ForEachLogits<false>(row, row, columns,
                         [&](size_t i, auto x, auto) HWY_ATTR {
                           exps.Add(x, i % kSumLanes, scratch + i);
                         });
  }
  // What the exponentials have been multiplied by.
  const double unit = exps.exp.unit();
  const double rest = exps.Rest();
  const double sum = rest + 1;
  const double log_sum = Log1pOfPositive(rest);

  const size_t hot = target.hot;
  if (hot != kNotHot && !options.divergence) {
    // A class without weight costs nothing even where it is impossible.
    *loss = target.total == 0
                ? 0
                : target.total * (log_sum - (double{row[hot]} - double{max}));
  } else {
    if (target.scanned) {
      cross = CrossTerm(row, columns, kImpossible, target,
                        [&](auto v) HWY_ATTR { return hn::Sub(v, max_v); });
    }
    *loss = target.total * log_sum + cross;
  }
  const double log_sum_exp = log_sum + double{max};
  *loss += options.z_loss * log_sum_exp * log_sum_exp;
  const bool propagate = options.semantics != Semantics::kStrict;
  if (!propagate && !std::isfinite(*loss)) return false;
  if (gradient == nullptr) return true;

  const double pull = 2 * options.z_loss * log_sum_exp;
  if (hot == kNotHot) {
    // What may cancel is subtracted before anything else rounds it.
    const auto share =
        hn::Set(d, static_cast<T>((target.total + pull) / (sum * unit)));
    const auto scale_v = hn::Set(d, static_cast<T>(scale));
    const auto value = [&](size_t i, size_t live) HWY_ATTR {
      return hn::Mul(scale_v, hn::MulSub(hn::LoadU(d, scratch + i), share,
                                         LoadPart(target.tau + i, live)));
    };
    const bool finite = stream ? StoreGradient<true>(gradient, columns, value)
                               : StoreGradient<false>(gradient, columns, value);
    return propagate || finite;
  }
  const auto factor =
      hn::Set(d, static_cast<T>(scale * (target.total + pull) / (sum * unit)));
  const double hot_exp = double{scratch[hot]} / unit;
  const double others = row[hot] < max ? sum - hot_exp : rest;
  const auto hot_slope =
      static_cast<T>(scale * (pull * hot_exp - target.total * others) / sum);
  const auto value = [&](size_t i, size_t) HWY_ATTR {
    return hn::Mul(hn::LoadU(d, scratch + i), factor);
  };
  const bool finite =
      stream ? StoreGradient<true>(gradient, columns, value, hot, hot_slope)
             : StoreGradient<false>(gradient, columns, value, hot, hot_slope);
  return propagate || finite;
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
  const bool finite = StoreGradient<false>(
      gradient, columns, [&](size_t i, size_t live) HWY_ATTR {
        const auto mass = LoadPart(target.tau + i, live);
        const auto own =
            hn::Mul(scale_v, hn::Div(mass, LoadPart(row + i, live)));
        return hn::Sub(common,
                       hn::IfThenElseZero(hn::Ne(mass, hn::Zero(d)), own));
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
  const bool finite = StoreGradient<false>(
      gradient, columns, [&](size_t i, size_t live) HWY_ATTR {
        // 0 minus, since minus 0 times would be -0.
        return hn::Sub(hn::Zero(d),
                       hn::Mul(scale_v, LoadPart(target.tau + i, live)));
      });
  return semantics != Semantics::kStrict || finite;
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_CROSS_ENTROPY_INL_H_
