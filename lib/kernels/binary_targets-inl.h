// Targets that are probabilities of yes, and what is said of predictions of
// them: what the losses of independent labels share.

#if defined(LOSSD_LIB_KERNELS_BINARY_TARGETS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_BINARY_TARGETS_INL_H_
#undef LOSSD_LIB_KERNELS_BINARY_TARGETS_INL_H_
#else
#define LOSSD_LIB_KERNELS_BINARY_TARGETS_INL_H_
#endif

#include "hwy/highway.h"
#include "lib/core/spec.h"
#include "lib/kernels/elementwise-inl.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

template <class T>
struct BinaryTargets : ElementwiseFunctor {
  static constexpr size_t kFigures = 3;

  BinaryTargets(double label_smoothing, Semantics semantics)
      : keep(static_cast<T>(1 - label_smoothing)),
        shift(static_cast<T>(label_smoothing / 2)),
        checked(semantics == Semantics::kStrict) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Smooth(D d, V target) const {
    return hn::Add(hn::Mul(hn::Set(d, keep), target), hn::Set(d, shift));
  }

  // Of no. Not 1 - Smooth(target), which loses digits of a small smoothing.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V SmoothRest(D d, V target) const {
    return Smooth(d, hn::Sub(hn::Set(d, 1), target));
  }

  // NaN where the target is outside [0, 1], else the value.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Checked(D d, V target, V value) const {
    if (!checked) return value;
    return hn::IfThenElse(IsProbability(d, target), value, NotANumber(d));
  }

  // The right side of 1/2, the probability of the target, and whether the
  // probability is rounded to 0 or 1 in float32.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE void Figures(D d, V target, V probability,
                          FullResult<V>& result) const {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V half = hn::Set(d, T{0.5});
    const auto yes = hn::Gt(target, half);
    const auto said = hn::Gt(probability, half);
    const auto wrong =
        hn::Xor(hn::VecFromMask(d, yes), hn::VecFromMask(d, said));
    result.figures[0] = hn::IfThenZeroElse(hn::MaskFromVec(wrong), one);
    const V rest = hn::Sub(one, probability);
    result.figures[1] = hn::Add(hn::Mul(target, probability),
                                hn::Mul(hn::Sub(one, target), rest));
    // 1 - q of a float is 2^-24 or more, or 0.
    const V tiny = hn::Set(d, T{0x1p-25});
    result.figures[2] = hn::IfThenElseZero(
        hn::Or(hn::Le(probability, zero), hn::Le(rest, tiny)), one);
  }

  T keep, shift;
  bool checked;
};

// What a logit says, of both sides, each with all its digits.
template <class V>
struct Logistic {
  template <class D>
  HWY_INLINE Logistic(D d, V logit) {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    // log1p(e^-|x|) is what softplus of x and of -x have in common, and
    // e^-|x| / (1 + e^-|x|) the smaller of sigmoid of x and of -x.
    const V exp = ExpUpToOne(d, hn::Neg(hn::Abs(logit)));
    const V log = Log1pOfUnit(d, exp);
    const V larger = hn::Div(one, hn::Add(one, exp));
    const V smaller = hn::Mul(exp, larger);
    const auto above = hn::Ge(logit, zero);
    softplus = hn::Add(hn::Max(logit, zero), log);
    softplus_of_minus = hn::Add(hn::Max(hn::Neg(logit), zero), log);
    sigmoid = hn::IfThenElse(above, larger, smaller);
    sigmoid_of_minus = hn::IfThenElse(above, smaller, larger);
  }

  V softplus;
  V softplus_of_minus;
  V sigmoid;
  V sigmoid_of_minus;
};

// The two logarithms of cross-entropy: -log(q), and -log(1 - q) as
// log1p(q / (1 - q)), which keeps the digits of a small q. Infinite where the
// logarithm is.
template <class V>
struct Surprisal {
  template <class D>
  HWY_INLINE Surprisal(D d, V q) {
    const V zero = hn::Zero(d);
    const V rest = hn::Sub(hn::Set(d, 1), q);
    const V inf = Infinity(d);
    of_yes = hn::IfThenElse(hn::Gt(q, zero), hn::Neg(LogOfPositive(d, q)), inf);
    of_no = hn::IfThenElse(hn::Gt(rest, zero),
                           Log1pOfPositive(d, hn::Div(q, rest)), inf);
  }

  // Weighted sum, where terms of weight 0 are 0.
  template <class D>
  HWY_INLINE V Times(D d, V yes, V no) const {
    const V zero = hn::Zero(d);
    return hn::Add(hn::IfThenElseZero(hn::Ne(yes, zero), hn::Mul(yes, of_yes)),
                   hn::IfThenElseZero(hn::Ne(no, zero), hn::Mul(no, of_no)));
  }

  V of_yes;
  V of_no;
};

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_BINARY_TARGETS_INL_H_
