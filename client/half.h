// float16 and bfloat16. Internal to the client and lossctl.

#ifndef LOSSD_CLIENT_HALF_H_
#define LOSSD_CLIENT_HALF_H_

#include <bit>
#include <cstdint>

namespace lossd::client_internal {

// A type of 16 bits, by the digits of its fraction and the bias of its
// exponent.
template <int kFraction, int kBias>
struct Half {
  static constexpr uint64_t kInfinity = 0x7FFFU >> kFraction << kFraction;
  static constexpr uint64_t kFractionMask = (uint64_t{1} << kFraction) - 1;
  // Digits of a double's fraction that this has not.
  static constexpr int kFewer = 52 - kFraction;
  static constexpr uint64_t kBiases = uint64_t{1023 - kBias} << kFraction;
  // As bits of a double: a power of two.
  static constexpr double Power(int exponent) {
    return std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
  }
  static constexpr double kSmallestNormal = Power(1 - kBias);

  // The number of a code, exactly.
  static double ToDouble(uint16_t code) {
    const uint64_t size = code & 0x7FFFU;
    const uint64_t sign = uint64_t{code & 0x8000U} << 48;
    if (size <= kFractionMask) {
      const double number =
          static_cast<double>(size) * Power(1 - kBias - kFraction);
      return sign == 0 ? number : -number;
    }
    const uint64_t exponent = size >= kInfinity
                                  ? uint64_t{0x7FF} << 52
                                  : (size + kBiases) >> kFraction << 52;
    return std::bit_cast<double>(sign | exponent |
                                 (size & kFractionMask) << kFewer);
  }

  // The code of the nearest number, ties to even; infinity for what is larger
  // than all. NaN stays NaN, quiet, with its sign and upper payload.
  static uint16_t FromDouble(double number) {
    const auto bits = std::bit_cast<uint64_t>(number);
    const auto sign = static_cast<uint16_t>(bits >> 48 & 0x8000U);
    const uint64_t size = bits & ~(uint64_t{1} << 63);
    return static_cast<uint16_t>(sign | CodeOfSize(size));
  }

 private:
  static uint64_t CodeOfSize(uint64_t size) {
    if (size > uint64_t{0x7FF} << 52) {
      const uint64_t quiet = uint64_t{1} << (kFraction - 1);
      return kInfinity | quiet | (size >> kFewer & kFractionMask);
    }
    const auto number = std::bit_cast<double>(size);
    if (number < kSmallestNormal) {
      // Its digits end where those of the sum do, so that the sum rounds it.
      constexpr double kLarge = Power(1 - kBias + kFewer);
      return std::bit_cast<uint64_t>(number + kLarge) -
             std::bit_cast<uint64_t>(kLarge);
    }
    const uint64_t odd = size >> kFewer & 1;
    const uint64_t below_half = (uint64_t{1} << (kFewer - 1)) - 1;
    const uint64_t code = ((size + below_half + odd) >> kFewer) - kBiases;
    return code < kInfinity ? code : kInfinity;
  }
};

using Float16 = Half<10, 15>;
using Bfloat16 = Half<7, 127>;

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_HALF_H_
