// The transcendental functions of all kernels: Highway's polynomials, with the
// edges that its documentation excludes. Never libm, whose bits depend on the
// machine.

#if defined(LOSSD_LIB_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_MATH_INL_H_
#undef LOSSD_LIB_KERNELS_MATH_INL_H_
#else
#define LOSSD_LIB_KERNELS_MATH_INL_H_
#endif

#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> Infinity(D d) {
  return hn::Set(d, std::numeric_limits<hn::TFromD<D>>::infinity());
}

template <class D>
HWY_INLINE hn::Vec<D> NotANumber(D d) {
  return hn::Set(d, std::numeric_limits<hn::TFromD<D>>::quiet_NaN());
}

// e^x for x <= 1, -inf included; within 1 ulp. NaN gives 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpUpToOne(D d, V x) {
  // Highway's bound below which it answers 0 is compared as a number, but its
  // polynomial is evaluated first and -inf would make it NaN.
  const V lowest = hn::Set(d, static_cast<hn::TFromD<D>>(-1000));
  return hn::Exp(d, hn::Max(x, lowest));
}

// e^(x - max) for x <= max, max finite and x not NaN; -inf gives 0. Within 2
// ulp: where x - max is rounded (|x - max| times 2^-24 would be an error of
// many ulp in float), the exponential is corrected by what rounding lost.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOfDifference(D d, V x, V max) {
  const V difference = hn::Sub(x, max);
  const V exp = ExpUpToOne(d, difference);
  if constexpr (sizeof(hn::TFromD<D>) == sizeof(double)) return exp;
  const V part = hn::Sub(difference, x);
  const V lost =
      hn::Sub(hn::Sub(x, hn::Sub(difference, part)), hn::Add(max, part));
  // Not for -inf, whose `lost` is NaN.
  const auto finite = hn::Gt(exp, hn::Zero(d));
  return hn::IfThenElseZero(finite, hn::MulAdd(exp, lost, exp));
}

// log(1 + x) for finite x >= 0; within 2 ulp.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pOfPositive(D d, V x) {
  return hn::Log1p(d, x);
}

// log(x) for finite x > 0; within 4 ulp, relative also near 1.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LogOfPositive(D d, V x) {
  return hn::Log(d, x);
}

// log(x) for finite x >= 0, -inf for 0, NaN below and for NaN.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V LogOrMinusInfinity(D d, V x) {
  const V zero = hn::Zero(d);
  const V log = hn::IfThenElse(hn::Gt(x, zero), LogOfPositive(d, x),
                               hn::Neg(Infinity(d)));
  return hn::IfThenElse(hn::Ge(x, zero), log, NotANumber(d));
}

// log(1 - q) for q in [0, 1], -inf for 1; as -log1p(q / (1 - q)), which keeps
// the digits of a small q.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pOfMinus(D d, V q) {
  const V rest = hn::Sub(hn::Set(d, 1), q);
  const V log = hn::Neg(Log1pOfPositive(d, hn::Div(q, rest)));
  return hn::IfThenElse(hn::Gt(rest, hn::Zero(d)), log, hn::Neg(Infinity(d)));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE hn::Mask<D> IsProbability(D d, V q) {
  return hn::And(hn::Ge(q, hn::Zero(d)), hn::Le(q, hn::Set(d, 1)));
}

// A vector function of one number, with the same bits as in any vector.
HWY_INLINE double Log1pOfPositive(double x) {
  const hn::CappedTag<double, 1> d;
  return hn::GetLane(Log1pOfPositive(d, hn::Set(d, x)));
}

HWY_INLINE double LogOrMinusInfinity(double x) {
  const hn::CappedTag<double, 1> d;
  return hn::GetLane(LogOrMinusInfinity(d, hn::Set(d, x)));
}

HWY_INLINE double ExpUpToOne(double x) {
  const hn::CappedTag<double, 1> d;
  return hn::GetLane(ExpUpToOne(d, hn::Set(d, x)));
}

HWY_INLINE double LogOfPositive(double x) {
  const hn::CappedTag<double, 1> d;
  return hn::GetLane(LogOfPositive(d, hn::Set(d, x)));
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_MATH_INL_H_
