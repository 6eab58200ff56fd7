// What may be done to a row of logits before its loss, and what can be said of
// it beside.

#if defined(LOSSD_LIB_KERNELS_LOGITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_LOGITS_INL_H_
#undef LOSSD_LIB_KERNELS_LOGITS_INL_H_
#else
#define LOSSD_LIB_KERNELS_LOGITS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// out = softcap tanh(row / softcap), unless softcap is 0, over temperature;
// chain = its derivative. -inf stays. Both have room for whole chunks.
HWY_INLINE void TransformLogits(double softcap, double temperature,
                                const double* row, size_t columns, double* out,
                                double* chain) {
  const ChunkTag<double> d;
  const auto one = hn::Set(d, 1);
  const auto divisor = hn::Set(d, temperature);
  const auto cap = hn::Set(d, softcap);
  const auto impossible = hn::Neg(Infinity(d));
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const Chunk<double> chunk(row + i, columns - i, 0);
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto x = chunk.Get(lane);
      auto value = x;
      auto slope = one;
      if (softcap != 0) {
        const auto tanh = hn::Tanh(d, hn::Div(x, cap));
        const auto lost = hn::Eq(x, impossible);
        value = hn::IfThenElse(lost, impossible, hn::Mul(cap, tanh));
        slope = hn::Sub(one, hn::Mul(tanh, tanh));
        slope = hn::IfThenZeroElse(lost, slope);
      }
      hn::Store(hn::Div(value, divisor), d, out + i + lane);
      hn::Store(hn::Div(slope, divisor), d, chain + i + lane);
    }
  }
}

// What a row's target is, before smoothing and weights: a label, weights at
// indices, or a number for each class.
template <class T>
struct PlainTarget {
  int64_t label = -1;
  const T* weights = nullptr;
  const int64_t* indices = nullptr;
  size_t count = 0;

  // Calls fn(class, mass).
  template <class Fn>
  HWY_INLINE void ForEach(Fn fn) const {
    if (weights == nullptr) fn(static_cast<size_t>(label), T{1});
    for (size_t k = 0; k < count; ++k) {
      if (weights[k] == 0) continue;
      fn(indices ? static_cast<size_t>(indices[k]) : k, weights[k]);
    }
  }
};

// 1 if the first of the largest predictions is the class with the most mass.
template <class T>
HWY_INLINE double IsRight(const T* row, size_t columns,
                          const PlainTarget<T>& target) {
  size_t best = 0;
  T most = -std::numeric_limits<T>::infinity();
  target.ForEach([&](size_t k, T mass) {
    if (mass > most) best = k;
    most = std::max(most, mass);
  });
  const auto top =
      static_cast<size_t>(std::max_element(row, row + columns) - row);
  return top == best ? 1 : 0;
}

struct SoftmaxFigures {
  double entropy = 0;
  double surprisal = 0;
  double target_probability = 0;
};

// Of the softmax of a row of logits.
template <class T>
HWY_INLINE SoftmaxFigures FiguresOfSoftmax(const T* row, size_t columns,
                                           const PlainTarget<T>& target) {
  const ChunkTag<T> d;
  const T max = *std::max_element(row, row + columns);
  const auto max_v = hn::Set(d, max);
  const ExpBelow<T> exp_below(max);
  LaneAccumulator sum;
  LaneAccumulator products;
  for (size_t i = 0; i < columns; i += kSumLanes) {
    const Chunk<T> chunk(row + i, columns - i,
                         -std::numeric_limits<T>::infinity());
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto x = chunk.Get(lane);
      const auto exp = exp_below(d, x);
      sum.Add<T>(exp, lane);
      const auto product = hn::Mul(exp, hn::Sub(x, max_v));
      products.Add<T>(hn::IfThenElseZero(hn::Gt(exp, hn::Zero(d)), product),
                      lane);
    }
  }
  // What the exponentials have been multiplied by.
  const double unit = exp_below.unit();
  const double total = sum.Sum() / unit;
  const double log_total = LogOfPositive(total);
  SoftmaxFigures figures;
  figures.entropy = log_total - products.Sum() / unit / total;
  target.ForEach([&](size_t k, T mass) {
    const double below = double{row[k]} - double{max};
    figures.surprisal += double{mass} * (log_total - below);
    figures.target_probability += double{mass} * ExpUpToOne(below) / total;
  });
  return figures;
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_LOGITS_INL_H_
