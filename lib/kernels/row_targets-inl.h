// The effective target of a row of the cross-entropy family: labels, dense
// rows, smoothing, class weights and log targets made one.

#if defined(LOSSD_LIB_KERNELS_ROW_TARGETS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_ROW_TARGETS_INL_H_
#undef LOSSD_LIB_KERNELS_ROW_TARGETS_INL_H_
#else
#define LOSSD_LIB_KERNELS_ROW_TARGETS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "lib/kernels/cross_entropy.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

inline constexpr size_t kNotHot = std::numeric_limits<size_t>::max();

template <class T>
struct RowTarget {
  // Mass of each class; null if `hot` is set and predictions are logits.
  const T* tau = nullptr;
  // Its logarithm, for divergences; else null.
  const T* log_tau = nullptr;
  // Sum of tau.
  double total = 0;
  // The only class with mass, if the row is one-hot; its mass is `total`.
  size_t hot = kNotHot;
  // False: `tau` is what the caller sent; neither checked nor added up, which
  // the kernel of logits does on its way.
  bool scanned = true;
};

// Room for what RowTarget points to.
template <class T>
struct RowTargetScratch {
  T* tau;
  T* log_tau;
};

// Sum of a row; position of its only class with mass, if there is one; false in
// `allowed` if an element is not in [0, 1] (a little more for rounded soft
// labels).
struct RowScan {
  double total = 0;
  size_t hot = kNotHot;
  bool allowed = true;
};

template <class T>
HWY_INLINE RowScan ScanTargets(const T* row, size_t columns) {
  const ChunkTag<T> d;
  constexpr T kLimit = static_cast<T>(1 + kTargetTolerance);
  const auto zero = hn::Zero(d);
  LaneAccumulator sum;
  auto allowed = hn::Eq(zero, zero);
  size_t nonzero = 0;
  RowScan scan;
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const Chunk<T> chunk(row + i, columns - i, T{0});
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto v = chunk.Get(lane);
      const auto inside =
          hn::And(hn::Ge(v, zero), hn::Le(v, hn::Set(d, kLimit)));
      allowed = hn::And(allowed, inside);
      sum.Add<T>(v, lane);
      // Not Ne, which is false for NaN.
      const auto mass = hn::Not(hn::Eq(v, zero));
      const intptr_t at = hn::FindFirstTrue(d, mass);
      if (HWY_LIKELY(at < 0)) continue;
      nonzero += hn::CountTrue(d, mass);
      scan.hot = i + lane + static_cast<size_t>(at);
    }
  }
  scan.total = sum.Sum();
  scan.allowed = hn::AllTrue(d, allowed);
  if (nonzero != 1) scan.hot = kNotHot;
  return scan;
}

// tau = exp(logs); false if a logarithm is NaN or above 0 by more than the
// tolerance. `tau` has room for whole chunks.
template <class T>
HWY_INLINE bool ExpOfLogTargets(const T* logs, size_t columns, T* tau) {
  const ChunkTag<T> d;
  const auto limit = hn::Set(d, static_cast<T>(kTargetTolerance));
  auto allowed = hn::Eq(limit, limit);
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const Chunk<T> chunk(logs + i, columns - i, T{0});
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto log = chunk.Get(lane);
      const auto fits = hn::Le(log, limit);
      allowed = hn::And(allowed, fits);
      auto exp = ExpUpToOne(d, log);
      if (HWY_UNLIKELY(!hn::AllTrue(d, fits))) {
        // Of NaN it would be 0.
        const auto any =
            hn::IfThenElse(hn::IsNaN(log), log, ExpOrInfinity(d, log));
        exp = hn::IfThenElse(fits, exp, any);
      }
      hn::Store(exp, d, tau + i + lane);
    }
  }
  return hn::AllTrue(d, allowed);
}

// log_tau = log(tau), 0 where tau is 0. `log_tau` has room for whole chunks.
template <class T>
HWY_INLINE void LogOfTargets(const T* tau, size_t columns, T* log_tau) {
  const ChunkTag<T> d;
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const Chunk<T> chunk(tau + i, columns - i, T{1});
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto mass = chunk.Get(lane);
      const auto log = hn::IfThenZeroElse(hn::Eq(mass, hn::Zero(d)),
                                          LogOrMinusInfinity(d, mass));
      hn::Store(log, d, log_tau + i + lane);
    }
  }
}

// The target of a row of dense targets, or, where `row` is null, of a label in
// range. False if an element is not allowed.
template <class T>
HWY_INLINE bool PrepareTarget(const CrossEntropyOptions& options, const T* row,
                              size_t label, size_t columns,
                              const double* class_weights,
                              const RowTargetScratch<T>& scratch,
                              RowTarget<T>* target) {
  const bool propagate = options.semantics != Semantics::kStrict;
  const bool smooth = options.label_smoothing > 0;
  if (row == nullptr && !smooth) {
    const double mass = class_weights ? class_weights[label] : 1;
    if (options.prediction_kind == PredictionKind::kLogits) {
      *target = {nullptr, nullptr, mass, label};
      return true;
    }
    std::fill_n(scratch.tau, columns, T{0});
    scratch.tau[label] = static_cast<T>(mass);
    *target = {scratch.tau, nullptr, mass, label};
    return true;
  }
  if (row != nullptr && !smooth && class_weights == nullptr &&
      !options.log_targets && !options.any_mass &&
      options.prediction_kind == PredictionKind::kLogits) {
    *target = {.tau = row, .scanned = false};
    return true;
  }
  if (row == nullptr) {
    std::fill_n(scratch.tau, columns, T{0});
    scratch.tau[label] = 1;
    row = scratch.tau;
  }
  if (options.log_targets) {
    if (!ExpOfLogTargets(row, columns, scratch.tau) && !propagate) return false;
    target->log_tau = row;
    row = scratch.tau;
  }
  const RowScan scan = ScanTargets(row, columns);
  // The mass of a logarithm that was allowed may be a little above the limit.
  if (!scan.allowed && !options.log_targets && !options.any_mass &&
      !propagate) {
    return false;
  }
  target->tau = row;
  target->total = scan.total;
  if (options.divergence) {
    if (options.prediction_kind == PredictionKind::kLogits) {
      target->hot = scan.hot;
    }
    if (target->log_tau != nullptr) return true;
    LogOfTargets(row, columns, scratch.log_tau);
    target->log_tau = scratch.log_tau;
    return true;
  }
  if (!smooth) target->hot = scan.hot;
  if (!smooth && class_weights == nullptr) return true;
  // Keras weighs a row, by the class of its target.
  double row_weight = 1;
  if (options.semantics == Semantics::kKeras && class_weights != nullptr) {
    row_weight = 0;
    for (size_t k = 0; k < columns; ++k) {
      row_weight += class_weights[k] * double{row[k]};
    }
    class_weights = nullptr;
  }
  const double keep = 1 - options.label_smoothing;
  const double spread = options.label_smoothing / static_cast<double>(columns);
  LaneAccumulator sum;
  alignas(64) T masses[kSumLanes];
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const size_t live = std::min(kSumLanes, columns - i);
    std::fill(masses + live, masses + kSumLanes, T{0});
    for (size_t k = 0; k < live; ++k) {
      const double weight = class_weights ? class_weights[i + k] : row_weight;
      masses[k] = static_cast<T>(weight * (keep * double{row[i + k]} + spread));
    }
    const ChunkTag<T> d;
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      sum.Add<T>(hn::Load(d, masses + lane), lane);
    }
    std::copy_n(masses, live, scratch.tau + i);
  }
  target->tau = scratch.tau;
  // The mass of a one-hot row is that of a label's, not a rounded sum.
  target->total = sum.Sum();
  if (target->hot != kNotHot) {
    target->total =
        scan.total * (class_weights ? class_weights[target->hot] : row_weight);
  }
  return true;
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_ROW_TARGETS_INL_H_
