#ifndef LOSSD_LIB_KERNELS_POWER_H_
#define LOSSD_LIB_KERNELS_POWER_H_

namespace lossd {

// Exponents whose powers are products of a few factors, and as exact.
inline constexpr int kLongestProduct = 4;

constexpr bool IsShortPower(double exponent) {
  for (int whole = 0; whole <= kLongestProduct; ++whole) {
    if (exponent == whole) return true;
  }
  return false;
}

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_POWER_H_
