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

// The sum of coefficients[k] x^k.
template <class D, class V = hn::Vec<D>, size_t n>
HWY_INLINE V Polynomial(D d, V x,
                        const std::array<hn::TFromD<D>, n>& coefficients) {
  V sum = hn::Set(d, coefficients[n - 1]);
  for (size_t k = n - 1; k > 0; --k) {
    sum = hn::MulAdd(sum, x, hn::Set(d, coefficients[k - 1]));
  }
  return sum;
}

// 1 / first!, 1 / (first + step)!, ...
template <class T, size_t n>
constexpr std::array<T, n> InverseFactorials(int first, int step) {
  std::array<T, n> inverses{};
  double factorial = 1;
  int at = 1;
  for (size_t k = 0; k < n; ++k) {
    for (; at <= first + static_cast<int>(k) * step; ++at) factorial *= at;
    inverses[k] = static_cast<T>(1 / factorial);
  }
  return inverses;
}

template <class V>
struct Expm1Parts {
  V expm1;
  V expm1_minus_x;
};

// e^x - 1 and e^x - 1 - x, both relative also near 0, where x^2 / 2 is all that
// is left of the second; within 3 ulp. -inf gives -1 and inf, inf gives inf and
// NaN; NaN gives NaN in the second.
template <class D, class V = hn::Vec<D>>
HWY_INLINE Expm1Parts<V> Expm1AndMinusX(D d, V x) {
  using T = hn::TFromD<D>;
  // As many terms as matter to a T for |x| < 1.
  constexpr auto kSeries = InverseFactorials < T,
                 sizeof(T) == 4 ? 11 : 19 > (2, 1);
  const V beyond_x = hn::Mul(hn::Mul(x, x), Polynomial(d, x, kSeries));
  const V expm1 = hn::Sub(ExpOrInfinity(d, x), hn::Set(d, 1));
  const auto near = hn::Lt(hn::Abs(x), hn::Set(d, 1));
  return {hn::IfThenElse(near, hn::Add(x, beyond_x), expm1),
          hn::IfThenElse(near, beyond_x, hn::Sub(expm1, x))};
}

template <class V>
struct SinhAndCosh {
  V sinh;
  V cosh_minus_1;
};

// sinh(x) and cosh(x) - 1 for |x| < log 2, both relative also near 0; within 2
// ulp. Highway's Sinh is off by up to 4.
template <class D, class V = hn::Vec<D>>
HWY_INLINE SinhAndCosh<V> SinhAndCoshMinus1(D d, V x) {
  using T = hn::TFromD<D>;
  constexpr auto kSinh = InverseFactorials < T, sizeof(T) == 4 ? 5 : 9 > (3, 2);
  constexpr auto kCosh = InverseFactorials < T, sizeof(T) == 4 ? 5 : 9 > (4, 2);
  const V square = hn::Mul(x, x);
  return {hn::MulAdd(hn::Mul(x, square), Polynomial(d, square, kSinh), x),
          hn::MulAdd(hn::Mul(square, square), Polynomial(d, square, kCosh),
                     hn::Mul(square, hn::Set(d, T{0.5})))};
}

// log(1 + x) for 0 <= x <= 1/4; within 1 ulp.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pUpToQuarter(D d, V x) {
  using T = hn::TFromD<D>;
  constexpr size_t kTerms = sizeof(T) == 4 ? 4 : 9;
  constexpr auto kSeries = [] {
    std::array<T, kTerms> series{};
    for (size_t k = 0; k < kTerms; ++k) {
      series[k] = T{2} / static_cast<T>(2 * k + 3);
    }
    return series;
  }();
  // 2 artanh(z) = 2 z + z R with z = x / (2 + x), whose 2 z is x - z x.
  const V z = hn::Div(x, hn::Add(x, hn::Set(d, 2)));
  const V square = hn::Mul(z, z);
  const V rest = hn::Mul(square, Polynomial(d, square, kSeries));
  return hn::NegMulAdd(z, hn::Sub(x, rest), x);
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
