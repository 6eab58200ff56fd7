// What the references compute in: long double. Where LOSSD_REFERENCE_SLOPES is
// defined, long double with its derivative, so that the same lines also tell
// slopes, with the digits of long double: differences of losses have too few
// for the last place of float64.

#ifndef LOSSD_TESTS_SUPPORT_NUMBER_H_
#define LOSSD_TESTS_SUPPORT_NUMBER_H_

#ifndef LOSSD_REFERENCE_SLOPES

namespace lossd::test {
using Number = long double;
}  // namespace lossd::test

#else

#include <cmath>
#include <compare>
#include <limits>
#include <ostream>
#include <type_traits>

namespace lossd::test {

// A value, and its derivative with respect to the one number whose slope is 1.
struct NumberWithSlope {
  long double value = 0;
  long double slope = 0;

  constexpr NumberWithSlope() = default;
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr NumberWithSlope(T number)  // NOLINT(google-explicit-constructor)
      : value(static_cast<long double>(number)) {}
  constexpr NumberWithSlope(long double number, long double derivative)
      : value(number), slope(derivative) {}

  template <class T>
  requires std::is_arithmetic_v<T>
  explicit constexpr operator T() const { return static_cast<T>(value); }

  friend constexpr NumberWithSlope operator+(NumberWithSlope a,
                                             NumberWithSlope b) {
    return {a.value + b.value, a.slope + b.slope};
  }
  friend constexpr NumberWithSlope operator-(NumberWithSlope a,
                                             NumberWithSlope b) {
    return {a.value - b.value, a.slope - b.slope};
  }
  friend constexpr NumberWithSlope operator*(NumberWithSlope a,
                                             NumberWithSlope b) {
    return {a.value * b.value, a.slope * b.value + a.value * b.slope};
  }
  friend constexpr NumberWithSlope operator/(NumberWithSlope a,
                                             NumberWithSlope b) {
    const long double quotient = a.value / b.value;
    return {quotient, (a.slope - quotient * b.slope) / b.value};
  }
  constexpr NumberWithSlope operator-() const { return {-value, -slope}; }
  NumberWithSlope& operator+=(NumberWithSlope b) { return *this = *this + b; }
  NumberWithSlope& operator*=(NumberWithSlope b) { return *this = *this * b; }
  NumberWithSlope& operator/=(NumberWithSlope b) { return *this = *this / b; }

  // By value alone, so that branches are those of the value.
  friend constexpr bool operator==(NumberWithSlope a, NumberWithSlope b) {
    return a.value == b.value;
  }
  friend constexpr auto operator<=>(NumberWithSlope a, NumberWithSlope b) {
    return a.value <=> b.value;
  }
  friend std::ostream& operator<<(std::ostream& out, NumberWithSlope a) {
    return out << a.value;
  }
};

using Number = NumberWithSlope;

}  // namespace lossd::test

// The references call these by their full names.
namespace std {
// NOLINTBEGIN(readability-identifier-naming)

template <>
struct numeric_limits<lossd::test::NumberWithSlope>
    : numeric_limits<long double> {};

inline lossd::test::NumberWithSlope abs(lossd::test::NumberWithSlope x) {
  return x.value < 0 ? -x : x.value > 0 ? x : 0 * x;
}
inline lossd::test::NumberWithSlope exp(lossd::test::NumberWithSlope x) {
  const long double e = exp(x.value);
  return {e, e * x.slope};
}
inline lossd::test::NumberWithSlope expm1(lossd::test::NumberWithSlope x) {
  return {expm1(x.value), exp(x.value) * x.slope};
}
inline lossd::test::NumberWithSlope log(lossd::test::NumberWithSlope x) {
  return {log(x.value), x.slope / x.value};
}
inline lossd::test::NumberWithSlope log1p(lossd::test::NumberWithSlope x) {
  return {log1p(x.value), x.slope / (1 + x.value)};
}
inline lossd::test::NumberWithSlope sinh(lossd::test::NumberWithSlope x) {
  return {sinh(x.value), cosh(x.value) * x.slope};
}
inline lossd::test::NumberWithSlope tanh(lossd::test::NumberWithSlope x) {
  const long double c = cosh(x.value);
  return {tanh(x.value), x.slope / (c * c)};
}
inline lossd::test::NumberWithSlope sqrt(lossd::test::NumberWithSlope x) {
  const long double root = sqrt(x.value);
  return {root, x.slope == 0 ? 0 : x.slope / (2 * root)};
}
// Exponents are options: they have no slope.
inline lossd::test::NumberWithSlope pow(lossd::test::NumberWithSlope x,
                                        lossd::test::NumberWithSlope e) {
  return {pow(x.value, e.value),
          x.slope == 0 ? 0 : e.value * pow(x.value, e.value - 1) * x.slope};
}
inline int ilogb(lossd::test::NumberWithSlope x) { return ilogb(x.value); }

// NOLINTEND(readability-identifier-naming)
}  // namespace std

#endif  // LOSSD_REFERENCE_SLOPES

#endif  // LOSSD_TESTS_SUPPORT_NUMBER_H_
