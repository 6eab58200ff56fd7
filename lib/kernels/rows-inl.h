// The loop over the rows of a block: what kernels that compute one row at a
// time have in common.

#if defined(LOSSD_LIB_KERNELS_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_ROWS_INL_H_
#undef LOSSD_LIB_KERNELS_ROWS_INL_H_
#else
#define LOSSD_LIB_KERNELS_ROWS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/loss_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// One row of a block whose extras, if any, have the shape of the predictions.
template <class T>
struct RowOperands {
  size_t index = 0;
  size_t columns = 0;
  const T* predictions = nullptr;
  // Null for losses without.
  const T* targets = nullptr;
  // Null where not given.
  std::array<const T*, kMaxExtras> extras{};
  // Null where not wanted.
  std::array<T*, kMaxGradients> gradients{};
  // Multiplies gradients.
  double scale = 0;
};

// Whether no number is infinite or NaN.
template <class T>
HWY_INLINE bool IsFinite(const T* numbers, size_t count) {
  const ChunkTag<T> d;
  auto poison = hn::Zero(d);
  for (size_t i = 0; i < count; i += kSumLanes) {
    const Chunk<T> chunk(numbers + i, count - i, T{0});
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      poison = hn::Add(poison, hn::Mul(chunk.Get(lane), hn::Zero(d)));
    }
  }
  return hn::GetLane(hn::SumOfLanes(d, poison)) == 0;
}

template <class T>
HWY_INLINE bool HasNan(const T* numbers, size_t count) {
  const ChunkTag<T> d;
  auto nan = hn::IsNaN(hn::Zero(d));
  for (size_t i = 0; i < count; i += kSumLanes) {
    const Chunk<T> chunk(numbers + i, count - i, T{0});
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      nan = hn::Or(nan, hn::IsNaN(chunk.Get(lane)));
    }
  }
  return !hn::AllFalse(d, nan);
}

// Writes the vector of elements `at` and up of a row.
template <class T>
HWY_INLINE void StorePart(hn::Vec<ChunkTag<T>> v, T* row, size_t at,
                          size_t columns) {
  const ChunkTag<T> d;
  if (HWY_LIKELY(at + hn::MaxLanes(d) <= columns)) {
    hn::StoreU(v, d, row + at);
    return;
  }
  if (at >= columns) return;
  alignas(64) T last[kSumLanes];
  hn::Store(v, d, last);
  std::copy_n(last, columns - at, row + at);
}

// Calls run(i, gradient) for each row that counts, whose gradient is null if it
// is not wanted; it returns false to refuse the row. The others get a loss and
// a gradient of +0.
template <class T, class Run>
HWY_INLINE RowwiseOutcome ForEachRow(const RowwiseArgs<T>& args, Run run) {
  RowwiseOutcome outcome{args.rows, 0};
  for (size_t i = 0; i < args.rows; ++i) {
    T* const gradient =
        args.gradients[0] ? args.gradients[0] + i * args.columns : nullptr;
    args.row_losses[i] = 0;
    if (!args.active[i]) {
      if (gradient) std::fill_n(gradient, args.columns, T{0});
    } else if (!run(i, gradient) && outcome.refused == args.rows) {
      outcome.refused = i;
    }
  }
  return outcome;
}

// Runs kernel(row, &loss, &clipped) for each row that counts; the others get a
// loss and gradients of +0. The kernel writes the loss, the gradients that are
// wanted, and adds what it clipped; it returns false to refuse the row. A row
// is also refused if a result is not finite. Where values propagate, a refused
// row and one that contains NaN are NaN instead.
template <class T, class Kernel>
class RowLoop {
 public:
  RowLoop(const Kernel& kernel, const RowwiseArgs<T>& args)
      : kernel_(kernel), args_(args) {}

  HWY_INLINE RowwiseOutcome Run() const {
    RowwiseOutcome outcome{args_.rows, 0};
    for (size_t i = 0; i < args_.rows; ++i) {
      const RowOperands<T> row = RowAt(i);
      if (!args_.active[i]) {
        Fill(row, 0);
      } else if (!RunOne(row, &outcome.clipped) &&
                 outcome.refused == args_.rows) {
        outcome.refused = i;
      }
    }
    return outcome;
  }

 private:
  RowOperands<T> RowAt(size_t i) const {
    const size_t first = i * args_.columns;
    RowOperands<T> row;
    row.index = i;
    row.columns = args_.columns;
    row.predictions = args_.predictions + first;
    if (args_.targets) row.targets = args_.targets + i * args_.targets_per_row;
    for (size_t k = 0; k < kMaxExtras; ++k) {
      if (args_.extras[k]) row.extras[k] = args_.extras[k] + first;
    }
    for (size_t k = 0; k < kMaxGradients; ++k) {
      if (args_.gradients[k]) row.gradients[k] = args_.gradients[k] + first;
    }
    row.scale = args_.scales[i];
    return row;
  }

  void Fill(const RowOperands<T>& row, T number) const {
    args_.row_losses[row.index] = double{number};
    for (T* const gradient : row.gradients) {
      if (gradient) std::fill_n(gradient, row.columns, number);
    }
  }

  HWY_INLINE bool RunOne(const RowOperands<T>& row, int64_t* clipped) const {
    double* const loss = args_.row_losses + row.index;
    if (args_.propagate) {
      if (ContainsNan(row) || !kernel_(row, loss, clipped)) {
        Fill(row, std::numeric_limits<T>::quiet_NaN());
      }
      return true;
    }
    if (!kernel_(row, loss, clipped) || !std::isfinite(*loss)) return false;
    return std::ranges::all_of(row.gradients, [&](const T* gradient) {
      return gradient == nullptr || IsFinite(gradient, row.columns);
    });
  }

  bool ContainsNan(const RowOperands<T>& row) const {
    return HasNan(row.predictions, row.columns) ||
           (row.targets && HasNan(row.targets, args_.targets_per_row)) ||
           std::ranges::any_of(row.extras, [&](const T* extra) {
             return extra && HasNan(extra, row.columns);
           });
  }

  const Kernel& kernel_;
  const RowwiseArgs<T>& args_;
};

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_ROWS_INL_H_
