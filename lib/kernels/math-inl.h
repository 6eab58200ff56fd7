// The transcendental functions of all kernels: Highway's polynomials, with the
// edges that its documentation excludes. Never libm, whose bits depend on the
// machine.

#if defined(LOSSD_LIB_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_MATH_INL_H_
#undef LOSSD_LIB_KERNELS_MATH_INL_H_
#else
#define LOSSD_LIB_KERNELS_MATH_INL_H_
#endif

#include <array>
#include <cstddef>
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

// e^x, infinite where it overflows and 0 where it underflows; within 1 ulp. NaN
// gives 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOrInfinity(D d, V x) {
  using T = hn::TFromD<D>;
  // Above these Highway's exponents would not fit, below e^x is finite or not
  // as it should be.
  const V highest = hn::Set(d, static_cast<T>(sizeof(T) == 4 ? 104 : 720));
  const V lowest = hn::Set(d, static_cast<T>(-1000));
  return hn::Exp(d, hn::Min(hn::Max(x, lowest), highest));
}

// e^x - 1 - x for |x| < 1, relative also near 0, where x^2 / 2 is all that is
// left; within 2 ulp. Elsewhere of no use.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Expm1MinusXBelowOne(D d, V x) {
  using T = hn::TFromD<D>;
  // 1 / 2!, 1 / 3!, ...: as many as matter to a T for |x| < 1.
  constexpr size_t kTerms = sizeof(T) == 4 ? 11 : 19;
  constexpr auto kInverses = [] {
    std::array<T, kTerms> inverses{};
    double factorial = 1;
    for (size_t k = 0; k < kTerms; ++k) {
      factorial *= static_cast<double>(k + 2);
      inverses[k] = static_cast<T>(1 / factorial);
    }
    return inverses;
  }();
  V series = hn::Set(d, kInverses[kTerms - 1]);
  for (size_t k = kTerms - 1; k > 0; --k) {
    series = hn::MulAdd(series, x, hn::Set(d, kInverses[k - 1]));
  }
  return hn::Mul(hn::Mul(x, x), series);
}

template <class V>
struct Expm1Parts {
  V expm1;
  V expm1_minus_x;
};

// e^x - 1 and e^x - 1 - x, both relative also near 0; within 3 ulp (measured:
// 1.2 and 2.1 in float). -inf gives -1 and inf, inf gives inf and NaN; NaN
// gives NaN in the second.
template <class D, class V = hn::Vec<D>>
HWY_INLINE Expm1Parts<V> Expm1AndMinusX(D d, V x) {
  const V beyond_x = Expm1MinusXBelowOne(d, x);
  const V expm1 = hn::Sub(ExpOrInfinity(d, x), hn::Set(d, 1));
  const auto near = hn::Lt(hn::Abs(x), hn::Set(d, 1));
  return {hn::IfThenElse(near, hn::Add(x, beyond_x), expm1),
          hn::IfThenElse(near, beyond_x, hn::Sub(expm1, x))};
}

// x - y without rounding: the sum of both numbers.
template <class V>
struct ExactDifference {
  V rounded;
  // 0 where `rounded` is not finite.
  V lost;
};

template <class D, class V = hn::Vec<D>>
HWY_INLINE ExactDifference<V> Difference(D d, V x, V y) {
  const V rounded = hn::Sub(x, y);
  const V part = hn::Sub(rounded, x);
  const V lost = hn::Sub(hn::Sub(x, hn::Sub(rounded, part)), hn::Add(y, part));
  const auto finite = hn::Lt(hn::Abs(rounded), Infinity(d));
  return {rounded, hn::IfThenElseZero(finite, lost)};
}

// e^(x - y) of a difference of any sign, corrected by what rounding it lost;
// infinite where it overflows, 0 where it underflows. Within 2 ulp. NaN stays.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOfDifferenceOrInfinity(D d, const ExactDifference<V>& x_y) {
  const V exp = ExpOrInfinity(d, x_y.rounded);
  const auto finite = hn::Lt(exp, Infinity(d));
  const V corrected =
      hn::IfThenElse(finite, hn::MulAdd(exp, x_y.lost, exp), exp);
  const auto number = hn::Eq(x_y.rounded, x_y.rounded);
  return hn::IfThenElse(number, corrected, x_y.rounded);
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

// log(1 + x) for -1 < x <= 0, relative also near 0; within 4 ulp. Where 1 + x
// is less than the rounding of 1, its logarithm is that of this rounding.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pOfNegative(D d, V x) {
  using T = hn::TFromD<D>;
  constexpr T kRounding = std::numeric_limits<T>::epsilon() / 2;
  const V lowest = hn::Set(d, kRounding - 1);
  return hn::Log1p(d, hn::Max(x, lowest));
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
