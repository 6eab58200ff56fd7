// What the functors of policy.h's losses share, and the kernel that runs them
// on rows of logits.
//
// With y the token that was taken and l = x_y - lse(x) its log-probability, a
// loss f(l) has the gradient f'(l) (1[j = y] - S_j), whose element y is
// computed as f'(l) times the sum of the other S_j: nothing cancels.

#if defined(LOSSD_LIB_KERNELS_POLICY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_POLICY_INL_H_
#undef LOSSD_LIB_KERNELS_POLICY_INL_H_
#else
#define LOSSD_LIB_KERNELS_POLICY_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "lib/core/scratch.h"
#include "lib/core/spec.h"
#include "lib/kernels/elementwise-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/rows-inl.h"
#include "lib/kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// -(a b), where 0 is +0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V MinusProduct(D d, V a, V b) {
  return hn::Sub(hn::Zero(d), hn::Mul(a, b));
}

// Of losses whose extra inputs are old_log_probabilities and advantages, and
// whose first two figures are the ratios.
struct RatioFunctor : ElementwiseFunctor {
  static constexpr size_t kExtras = 2;
  static constexpr size_t kFigures = 2;
  static constexpr bool IsMax(size_t figure) { return figure == 0; }

  explicit RatioFunctor(Semantics semantics)
      : checked(semantics == Semantics::kStrict) {}

  // The value; NaN where the ratio is and, with kStrict, where the ratio or its
  // logarithm is not finite, which minima would hide.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Checked(D d, V log_ratio, V ratio, V value) const {
    const V nan = checked ? hn::Mul(hn::Add(log_ratio, ratio), hn::Zero(d))
                          : hn::IfThenElseZero(hn::IsNaN(ratio), ratio);
    return hn::Add(value, nan);
  }

  bool checked;
};

// The same with bounds of the ratio, and how often they act as third figure.
template <class T>
struct ClippedRatioFunctor : RatioFunctor {
  static constexpr size_t kFigures = 3;

  ClippedRatioFunctor(double clip_low, double clip_high, Semantics semantics)
      : RatioFunctor(semantics),
        low(static_cast<T>(clip_low)),
        high(static_cast<T>(clip_high)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Clamp(D d, V ratio) const {
    return hn::Min(hn::Max(ratio, hn::Set(d, low)), hn::Set(d, high));
  }

  T low, high;
};

// What a functor answers to one element.
template <class Functor>
struct TokenAnswer {
  double value;
  double slope;
  std::array<double, Functor::kFigures> figures{};
};

template <class Functor>
HWY_INLINE TokenAnswer<Functor> AnswerOf(
    const Functor& functor, double log_probability,
    const std::array<double, Functor::kExtras>& extras) {
  const hn::CappedTag<double, 1> d;
  using V = hn::Vec<decltype(d)>;
  Operands<V> in;
  in.prediction = hn::Set(d, log_probability);
  in.target = hn::Zero(d);
  in.column = hn::Set(d, 1);
  for (size_t k = 0; k < Functor::kExtras; ++k) {
    in.extras[k] = hn::Set(d, extras[k]);
  }
  const auto result = functor(d, in);
  TokenAnswer<Functor> answer;
  answer.value = hn::GetLane(result.value);
  answer.slope = hn::GetLane(result.slope);
  if constexpr (Functor::kFigures > 0) {
    for (size_t k = 0; k < Functor::kFigures; ++k) {
      answer.figures[k] = hn::GetLane(result.figures[k]);
    }
  }
  // Slopes may lose a NaN on the way, in comparisons.
  if (std::isnan(answer.value)) answer.slope = answer.value;
  return answer;
}

// The rows of a block. `Functor` is of double: the softmax has the type of the
// arguments, what is made of its logarithm does not.
template <class T, class Functor>
class TokenRows {
 public:
  TokenRows(const Functor& functor, const RowwiseArgs<T>& args)
      : functor_(functor),
        args_(args),
        columns_(args.columns),
        exps_(ScratchUse::kKernel,
              (columns_ + kSumLanes - 1) / kSumLanes * kSumLanes) {}

  HWY_INLINE RowwiseOutcome Run() {
    return ForEachRow(args_, [this](size_t i, T* gradient)
                                 HWY_ATTR { return RunOne(i, gradient); });
  }

 private:
  HWY_INLINE bool RunOne(size_t i, T* gradient) {
    // Read once: a caller that shares memory may change it after the check.
    const int64_t label = args_.labels[i];
    if (label < 0 || static_cast<uint64_t>(label) >= columns_) return false;
    const auto token = static_cast<size_t>(label);
    const T* row = args_.predictions + i * columns_;
    const Softmax<T> softmax = SoftmaxOf(row, columns_, exps_.data());
    const double log_probability =
        softmax.possible
            ? double{row[token]} - double{softmax.max} - softmax.log_sum
            : std::numeric_limits<double>::quiet_NaN();
    std::array<double, Functor::kExtras> extras;
    for (size_t k = 0; k < Functor::kExtras; ++k) {
      extras[k] = double{args_.extras[k][i]};
    }
    const auto answer = AnswerOf(functor_, log_probability, extras);
    args_.row_losses[i] = answer.value;
    if (!args_.propagate &&
        !(std::isfinite(answer.value) && std::isfinite(answer.slope))) {
      return false;
    }
    for (size_t k = 0; k < Functor::kFigures; ++k) {
      if (args_.diagnostics == nullptr) break;
      args_.diagnostics[k * args_.rows + i] = answer.figures[k];
    }
    if (gradient == nullptr) return true;
    return StoreRow(softmax, row[token] < softmax.max, token,
                    args_.scales[i] * answer.slope, gradient) ||
           args_.propagate;
  }

  // gradient_j = slope (1[j = token] - S_j); false if one is not finite.
  HWY_INLINE bool StoreRow(const Softmax<T>& softmax, bool below_max,
                           size_t token, double slope, T* gradient) const {
    // Clipped tokens cost nothing.
    if (slope == 0 || std::isnan(slope)) {
      std::fill_n(gradient, columns_,
                  slope == 0 ? T{0} : std::numeric_limits<T>::quiet_NaN());
      return slope == 0;
    }
    const ChunkTag<T> d;
    const T* const exps = exps_.data();
    const double others =
        below_max ? softmax.sum - double{exps[token]} : softmax.rest;
    const auto factor = hn::Set(d, static_cast<T>(-slope / softmax.sum));
    const bool finite = StoreGradient<false>(
        gradient, columns_, [&](size_t i, size_t) HWY_ATTR {
          return hn::Mul(hn::LoadU(d, exps + i), factor);
        });
    gradient[token] = static_cast<T>(slope * (others / softmax.sum));
    return finite && std::isfinite(gradient[token]);
  }

  const Functor& functor_;
  const RowwiseArgs<T>& args_;
  const size_t columns_;
  const Scratch<T> exps_;
};

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_POLICY_INL_H_
