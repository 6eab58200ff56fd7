#include "tests/support/half.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lossd::test {
namespace {

struct Format {
  // Of the significand, the leading one included.
  int digits;
  // Of the smallest and the largest normal number, as powers of two.
  int smallest;
  int largest;
};

Format FormatOf(Dtype dtype) {
  return dtype == Dtype::kFloat16 ? Format{11, -14, 15} : Format{8, -126, 127};
}

}  // namespace

double RoundToHalf(Dtype dtype, double number) {
  if (number == 0 || !std::isfinite(number)) return number;
  const Format format = FormatOf(dtype);
  const int exponent = std::max(std::ilogb(number), format.smallest);
  const double unit = std::ldexp(1, exponent - format.digits + 1);
  // To nearest even: the rounding mode of the process.
  const double rounded = std::nearbyint(number / unit) * unit;
  if (std::abs(rounded) >= std::ldexp(1, format.largest + 1)) {
    return std::copysign(std::numeric_limits<double>::infinity(), number);
  }
  return rounded;
}

uint16_t HalfCode(Dtype dtype, double number) {
  const Format format = FormatOf(dtype);
  const int fraction = format.digits - 1;
  const int sign = std::signbit(number) ? 0x8000 : 0;
  const int top = (format.largest * 2 + 1) << fraction;
  if (std::isnan(number))
    return static_cast<uint16_t>(top | 1 << (fraction - 1));
  if (std::isinf(number)) return static_cast<uint16_t>(sign | top);
  const double size = std::abs(number);
  const int exponent =
      size == 0 ? format.smallest : std::max(std::ilogb(size), format.smallest);
  // Counts units of the last place; a normal number has its leading one in it.
  const int units = static_cast<int>(std::ldexp(size, fraction - exponent));
  return static_cast<uint16_t>(
      sign | (((exponent - format.smallest) << fraction) + units));
}

double HalfNumber(Dtype dtype, uint16_t code) {
  const Format format = FormatOf(dtype);
  const int fraction = format.digits - 1;
  const int exponent = (code & 0x7fff) >> fraction;
  const int rest = code & ((1 << fraction) - 1);
  const double sign = code & 0x8000 ? -1 : 1;
  if (exponent == format.largest * 2 + 1) {
    return rest != 0 ? std::numeric_limits<double>::quiet_NaN()
                     : sign * std::numeric_limits<double>::infinity();
  }
  const int units = exponent == 0 ? rest : rest + (1 << fraction);
  return sign * std::ldexp(units, std::max(exponent, 1) - 1 + format.smallest -
                                      fraction);
}

}  // namespace lossd::test
