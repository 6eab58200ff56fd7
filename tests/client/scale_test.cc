// Half types by bits, and gradients multiplied in place.

#include "client/scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "client/half.h"
#include "tests/support/half.h"

namespace lossd {
namespace {

using client_internal::Bfloat16;
using client_internal::Float16;
using client_internal::Scale;

bool Same(double a, double b) {
  return std::isnan(a) ? std::isnan(b)
                       : a == b && std::signbit(a) == std::signbit(b);
}

template <class Half>
void ExpectHalf(Dtype dtype) {
  for (uint32_t i = 0; i <= 0xFFFF; ++i) {
    const auto code = static_cast<uint16_t>(i);
    const double number = test::HalfNumber(dtype, code);
    ASSERT_TRUE(Same(Half::ToDouble(code), number)) << code;
    if (std::isnan(number)) {
      // Quiet, with its sign and payload.
      const auto quiet = static_cast<uint16_t>(
          code | (dtype == Dtype::kFloat16 ? 0x200 : 0x40));
      ASSERT_EQ(Half::FromDouble(Half::ToDouble(code)), quiet);
      continue;
    }
    ASSERT_EQ(Half::FromDouble(number), code);
    if (std::isinf(number)) continue;
    // About the middle to the next one, and the middle itself, which is what
    // ties are.
    const double next =
        test::HalfNumber(dtype, static_cast<uint16_t>(code + 1));
    const double middle =
        std::isinf(next)
            ? number + (number - test::HalfNumber(
                                     dtype, static_cast<uint16_t>(code - 1))) /
                           2
            : (number + next) / 2;
    for (const double near :
         {middle, std::nextafter(middle, number), std::nextafter(middle, next),
          std::nextafter(number, next), std::nextafter(number, -next)}) {
      ASSERT_EQ(Half::FromDouble(near),
                test::HalfCode(dtype, test::RoundToHalf(dtype, near)))
          << near;
    }
  }
  const double huge = std::numeric_limits<double>::max();
  EXPECT_EQ(Half::FromDouble(huge), test::HalfCode(dtype, HUGE_VAL));
  EXPECT_EQ(Half::FromDouble(-huge), test::HalfCode(dtype, -HUGE_VAL));
  const double tiny = std::numeric_limits<double>::denorm_min();
  EXPECT_EQ(Half::FromDouble(tiny), 0);
  EXPECT_EQ(Half::FromDouble(-tiny), 0x8000);
}

TEST(Half, Float16) { ExpectHalf<Float16>(Dtype::kFloat16); }

TEST(Half, Bfloat16) { ExpectHalf<Bfloat16>(Dtype::kBfloat16); }

TEST(Scale, EveryTypeOfGradients) {
  std::vector<float> floats = {1, -3, 0x1p-149F};
  std::vector<double> doubles = {1, -3, 1e300};
  std::vector<uint16_t> halfs = {0x3C00, 0xC200};
  std::vector<uint16_t> bfloats = {0x3F80, 0xC040};
  const double third = 1.0 / 3;
  for (const MutableArrayView& array :
       {MutableViewOf(floats), MutableViewOf(doubles),
        MutableFloat16ViewOf(halfs), MutableBfloat16ViewOf(bfloats)}) {
    Scale(array, third);
  }
  EXPECT_EQ(floats, (std::vector<float>{static_cast<float>(third), -1, 0}));
  EXPECT_EQ(doubles, (std::vector<double>{third, -1, 1e300 * third}));
  EXPECT_EQ(halfs, (std::vector<uint16_t>{0x3555, 0xBC00}));
  EXPECT_EQ(bfloats, (std::vector<uint16_t>{0x3EAB, 0xBF80}));
}

TEST(Scale, MemoryOfAnyAlignment) {
  std::vector<char> memory(9);
  const double number = 6;
  std::memcpy(&memory[1], &number, sizeof(number));
  Scale({v1::DTYPE_FLOAT64, &memory[1], sizeof(number)}, 0.5);
  double half = 0;
  std::memcpy(&half, &memory[1], sizeof(half));
  EXPECT_EQ(half, 3);
}

}  // namespace
}  // namespace lossd
