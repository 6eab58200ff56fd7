// Targets that are two classes, as signs: what the margin losses share.

#if defined(LOSSD_LIB_KERNELS_SIGN_LABELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_SIGN_LABELS_INL_H_
#undef LOSSD_LIB_KERNELS_SIGN_LABELS_INL_H_
#else
#define LOSSD_LIB_KERNELS_SIGN_LABELS_INL_H_
#endif

#include "hwy/highway.h"
#include "lib/core/spec.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// How targets are read: as -1 and +1 or, with kZeroOne, as 0 and 1. Where
// values propagate, others are computed with; losses that are Keras' read a
// single 0 as -1 then.
template <class T>
struct Labels {
  Labels(LabelEncoding encoding, Semantics semantics, bool is_keras = true)
      : zero_one(encoding == LabelEncoding::kZeroOne),
        checked(semantics == Semantics::kStrict),
        zero_is_minus(is_keras && !zero_one && semantics == Semantics::kKeras) {
  }

  // y.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Signs(D d, V target) const {
    const V one = hn::Set(d, T{1});
    if (zero_one) return hn::Sub(hn::Add(target, target), one);
    if (!zero_is_minus) return target;
    return hn::IfThenElse(hn::Eq(target, hn::Zero(d)), hn::Neg(one), target);
  }

  // The value, or NaN where the target is no label. Of the target, not of y, to
  // which tiny targets are rounded.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Checked(D d, V target, V value) const {
    if (!checked) return value;
    const V one = hn::Set(d, T{1});
    const V negative = zero_one ? hn::Zero(d) : hn::Neg(one);
    const auto known = hn::Or(hn::Eq(target, one), hn::Eq(target, negative));
    return hn::IfThenElse(known, value, NotANumber(d));
  }

  bool zero_one;
  bool checked;
  bool zero_is_minus;
};

// 1 where the score has the label's sign: the figure "accuracy".
template <class D, class V = hn::Vec<D>>
HWY_INLINE V RightSide(D d, V label, V score) {
  return hn::IfThenElseZero(hn::Gt(hn::Mul(label, score), hn::Zero(d)),
                            hn::Set(d, 1));
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_SIGN_LABELS_INL_H_
