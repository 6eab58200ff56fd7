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
#include <cmath>
#include <cstddef>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "lib/core/sum.h"

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

// Rounds to an integer by adding a large number, at whose size a unit in the
// last place is 1: the integer, plus kOffset, is then in the low bits, and one
// shift makes a power of two of it.
template <class T>
struct ExpConstants;

template <>
struct ExpConstants<float> {
  static constexpr int kMantissaBits = 23;
  // Results are scaled by 2^64 until the end, so that subnormal ones are
  // rounded once.
  static constexpr float kMagic = 0x1.8p23f + 127 + 64;
  static constexpr float kUnscale = 0x1p-64f;
  // e^x is 0 below.
  static constexpr float kLowest = -105;
  static constexpr float kMinusLn2High = -0.693145751953125f;
  static constexpr float kMinusLn2Low = -1.428606765330187045e-6f;
  // Beyond, differences of numbers whose exponential is not 0 are exact.
  static constexpr float kExactDifference = 256;
};

template <>
struct ExpConstants<double> {
  static constexpr int kMantissaBits = 52;
  static constexpr double kMagic = 0x1.8p52 + 1023 + 128;
  static constexpr double kUnscale = 0x1p-128;
  static constexpr double kLowest = -748;
  static constexpr double kMinusLn2High = -0.6931471805596629565116018;
  static constexpr double kMinusLn2Low = -0.28235290563031577122588448175e-12;
  static constexpr double kExactDifference = 2048;
};

// (e^x - 1 - x) / x^2 for |x| <= log(2) / 2: Highway's polynomials, by Horner.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpPolynomial(D d, V x) {
  const auto step = [d, x](V sum, auto coefficient) HWY_ATTR {
    return hn::MulAdd(sum, x,
                      hn::Set(d, static_cast<hn::TFromD<D>>(coefficient)));
  };
  if constexpr (sizeof(hn::TFromD<D>) == sizeof(float)) {
    V sum = hn::Set(d, +0.000198527617612853646278381f);
    sum = step(sum, +0.00139304355252534151077271f);
    sum = step(sum, +0.00833336077630519866943359f);
    sum = step(sum, +0.0416664853692054748535156f);
    sum = step(sum, +0.166666671633720397949219f);
    return step(sum, +0.5f);
  } else {
    V sum = hn::Set(d, +2.08860621107283687536341e-9);
    sum = step(sum, +2.51112930892876518610661e-8);
    sum = step(sum, +2.75573911234900471893338e-7);
    sum = step(sum, +2.75572362911928827629423e-6);
    sum = step(sum, +2.4801587159235472998791e-5);
    sum = step(sum, +0.000198412698960509205564975);
    sum = step(sum, +0.00138888888889774492207962);
    sum = step(sum, +0.00833333333331652721664984);
    sum = step(sum, +0.0416666666666665047591422);
    sum = step(sum, +0.166666666666666851703837);
    return step(sum, +0.5);
  }
}

// e^x / 2^power for x that is at most a little above power * log(2), where
// `magic` is kMagic - power and results of `lowest` are 0; within 1 ulp. The
// power costs nothing and x is not rounded, however large it is against the
// difference. NaN gives 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ScaledExp(D d, V x, V magic, V lowest) {
  using T = hn::TFromD<D>;
  using C = ExpConstants<T>;
  const hn::RebindToUnsigned<D> du;
  x = hn::Max(x, lowest);
  constexpr T kLog2e = static_cast<T>(1.442695040888963407359924681);
  const V shifted = hn::MulAdd(x, hn::Set(d, kLog2e), magic);
  const V q = hn::Sub(shifted, magic);
  const V high = hn::MulAdd(q, hn::Set(d, C::kMinusLn2High), x);
  const V r = hn::MulAdd(q, hn::Set(d, C::kMinusLn2Low), high);
  const V less_one = hn::MulAdd(ExpPolynomial(d, r), hn::Mul(r, r), r);
  const V two_to_q =
      hn::BitCast(d, hn::ShiftLeft<C::kMantissaBits>(hn::BitCast(du, shifted)));
  return hn::Mul(hn::MulAdd(less_one, two_to_q, two_to_q),
                 hn::Set(d, C::kUnscale));
}

// e^x for x <= 1, -inf included; within 1 ulp. NaN gives 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpUpToOne(D d, V x) {
  using C = ExpConstants<hn::TFromD<D>>;
  return ScaledExp(d, x, hn::Set(d, C::kMagic), hn::Set(d, C::kLowest));
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

// e^x - 1 - x for -1 < x < 2, relative also near 0, where x^2 / 2 is all that
// is left; within 2 ulp. Elsewhere of no use.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Expm1MinusXNearZero(D d, V x) {
  using T = hn::TFromD<D>;
  // As many terms as matter to a T; below -1 they would cancel.
  constexpr size_t kTerms = sizeof(T) == 4 ? 15 : 24;
  constexpr auto kSeries = InverseFactorials<T, kTerms>(2, 1);
  return hn::Mul(hn::Mul(x, x), Polynomial(d, x, kSeries));
}

template <class V>
struct Expm1Parts {
  V expm1;
  V expm1_minus_x;
};

// e^x - 1 and e^x - 1 - x, both relative also near 0, where x^2 / 2 is all that
// is left of the second; within 2 and 3 ulp. -inf gives -1 and inf, inf gives
// inf and NaN; NaN gives NaN in the second.
template <class D, class V = hn::Vec<D>>
HWY_INLINE Expm1Parts<V> Expm1AndMinusX(D d, V x) {
  const V beyond_x = Expm1MinusXNearZero(d, x);
  const V expm1 = hn::Sub(ExpOrInfinity(d, x), hn::Set(d, 1));
  const auto near =
      hn::And(hn::Gt(x, hn::Set(d, -1)), hn::Lt(x, hn::Set(d, 2)));
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
// ulp: what rounding x - max lost is corrected.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOfDifference(D d, V x, V max) {
  const auto difference = Difference(d, x, max);
  const V exp = ExpUpToOne(d, difference.rounded);
  if constexpr (sizeof(hn::TFromD<D>) == sizeof(double)) return exp;
  return hn::MulAdd(exp, difference.lost, exp);
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
  constexpr size_t kTerms = sizeof(T) == 4 ? 5 : 9;
  constexpr auto kSinh = InverseFactorials<T, kTerms>(3, 2);
  constexpr auto kCosh = InverseFactorials<T, kTerms>(4, 2);
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

// e^(x - max) for x <= max, max finite and x not NaN; -inf gives 0. Not rounded
// before the exponential: |x - max| times 2^-24 would be an error of many ulp
// in float. Instead all are multiplied by the same unit(), in [0.7, 1.42].
// Within 1 ulp, and unit() within 1 ulp; exact for max itself.
template <class T>
class ExpBelow {
 public:
  HWY_INLINE explicit ExpBelow(T max)
      : shift_(std::abs(max) < C::kExactDifference ? 0 : max) {
    const T rest = max - shift_;
    const T power = std::nearbyint(rest * static_cast<T>(1.4426950408889634));
    magic_ = C::kMagic - power;
    lowest_ = rest + C::kLowest;
    const hn::CappedTag<T, kSumLanes> d;
    unit_ = hn::GetLane((*this)(d, hn::Set(d, max)));
  }

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return ScaledExp(d, hn::Sub(x, hn::Set(d, shift_)), hn::Set(d, magic_),
                     hn::Set(d, lowest_));
  }

  double unit() const { return unit_; }

 private:
  using C = ExpConstants<T>;
  T shift_;
  T magic_;
  T lowest_;
  double unit_;
};

// log(1 + x) for finite x >= 0; within 2 ulp.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pOfPositive(D d, V x) {
  return hn::Log1p(d, x);
}

// log(1 + x) for x in [0, 1]; within 2 ulp.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Log1pOfUnit(D d, V x) {
  if constexpr (sizeof(hn::TFromD<D>) == sizeof(double)) {
    return hn::Log1p(d, x);
  } else {
    // x - x^2 q(x): unlike Highway's it has no divisions. Fitted for the least
    // largest relative error, 0.09 ulp; 1.4 ulp with rounding.
    constexpr float kCoefficients[] = {
        0.4999993145465851f,   -0.33330512046813965f, 0.24958588182926178f,
        -0.19695402681827545f, 0.1535540223121643f,   -0.10680564492940903f,
        0.05766453221440315f,  -0.020204629749059677f};
    V sum = hn::Set(d, 0.0033184820786118507f);
    for (size_t i = 8; i-- > 0;) {
      sum = hn::MulAdd(sum, x, hn::Set(d, kCoefficients[i]));
    }
    return hn::NegMulAdd(sum, hn::Mul(x, x), x);
  }
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
