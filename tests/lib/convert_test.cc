// Half types are read exactly.

#include "lib/core/convert.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include "gtest/gtest.h"

namespace lossd::test {
namespace {

double Read(Dtype dtype, uint16_t bits) {
  return ReadElement(
      {dtype, {}, std::as_bytes(std::span<const uint16_t>(&bits, 1))}, 0);
}

TEST(ConvertTest, Float16) {
  EXPECT_EQ(Read(Dtype::kFloat16, 0x0000), 0);
  EXPECT_TRUE(std::signbit(Read(Dtype::kFloat16, 0x8000)));
  EXPECT_EQ(Read(Dtype::kFloat16, 0x0001), 0x1p-24);
  EXPECT_EQ(Read(Dtype::kFloat16, 0x83FF), -1023 * 0x1p-24);
  EXPECT_EQ(Read(Dtype::kFloat16, 0x0400), 0x1p-14);
  EXPECT_EQ(Read(Dtype::kFloat16, 0x3C01), 1 + 0x1p-10);
  EXPECT_EQ(Read(Dtype::kFloat16, 0xFBFF), -65504);
  EXPECT_EQ(Read(Dtype::kFloat16, 0x7C00), HUGE_VAL);
  EXPECT_EQ(Read(Dtype::kFloat16, 0xFC00), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(Read(Dtype::kFloat16, 0x7C01)));
}

// Every bfloat16 is the upper half of a float.
TEST(ConvertTest, Bfloat16) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto expected = double{std::bit_cast<float>(bits << 16)};
    const double got = Read(Dtype::kBfloat16, static_cast<uint16_t>(bits));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(got)) << bits;
    } else {
      EXPECT_EQ(got, expected) << bits;
    }
  }
}

}  // namespace
}  // namespace lossd::test
