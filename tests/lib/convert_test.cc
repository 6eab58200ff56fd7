// Conversions to and from the half types, against arithmetic, for every code.

#include "lib/core/convert.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "lib/kernels/loss_kernel.h"
#include "tests/support/half.h"
#include "tests/support/random.h"

namespace lossd::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class HalfTypeTest : public testing::TestWithParam<Dtype> {
 protected:
  // All codes, in order.
  static const std::vector<uint16_t>& Codes() {
    static const auto& codes = *[] {
      auto* all = new std::vector<uint16_t>;
      for (int code = 0; code < 0x10000; ++code) {
        all->push_back(static_cast<uint16_t>(code));
      }
      return all;
    }();
    return codes;
  }

  // What is stored of these numbers.
  template <class T>
  static std::vector<uint16_t> Store(const std::vector<T>& numbers) {
    std::vector<uint16_t> codes(numbers.size());
    const auto bytes = std::as_writable_bytes(std::span(codes));
    EXPECT_EQ(WriteElements(bytes, GetParam(), 0, numbers.data(),
                            numbers.size(), false),
              numbers.size());
    return codes;
  }

  template <class T>
  static void ExpectRounded(const std::vector<T>& numbers) {
    const std::vector<uint16_t> codes = Store(numbers);
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto number = static_cast<double>(numbers[i]);
      const double rounded = RoundToHalf(GetParam(), number);
      ASSERT_EQ(codes[i], HalfCode(GetParam(), rounded)) << number;
    }
  }
};

template <class T>
void ExpectRead(Dtype dtype, const std::vector<uint16_t>& codes) {
  std::vector<T> scratch(codes.size());
  const T* numbers =
      ReadElements<T>({dtype, {}, std::as_bytes(std::span(codes))}, 0,
                      codes.size(), scratch.data());
  for (size_t i = 0; i < codes.size(); ++i) {
    const double expected = HalfNumber(dtype, codes[i]);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(numbers[i])) << codes[i];
    } else {
      ASSERT_EQ(static_cast<double>(numbers[i]), expected) << codes[i];
      ASSERT_EQ(std::signbit(numbers[i]), std::signbit(expected)) << codes[i];
    }
  }
}

TEST_P(HalfTypeTest, EveryCodeIsReadExactly) {
  ExpectRead<float>(GetParam(), Codes());
  ExpectRead<double>(GetParam(), Codes());
}

// Runs of every length up to some vectors, beginning anywhere.
TEST_P(HalfTypeTest, TailsAreReadAndWritten) {
  for (size_t count = 0; count <= 70; ++count) {
    for (const size_t begin : {size_t{0}, size_t{1}, size_t{3}}) {
      std::vector<uint16_t> codes(
          Codes().begin() + 0x3b00,
          Codes().begin() + 0x3b00 + static_cast<ptrdiff_t>(begin + count));
      std::vector<float> scratch(count);
      const float* numbers =
          ReadElements<float>({GetParam(), {}, std::as_bytes(std::span(codes))},
                              begin, count, scratch.data());
      std::vector<uint16_t> back(begin + count + 1, 0xabcd);
      WriteElements(std::as_writable_bytes(std::span(back)), GetParam(), begin,
                    numbers, count);
      EXPECT_EQ(back.back(), 0xabcd);
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(back[begin + i], codes[begin + i]) << count;
      }
    }
  }
}

// Every number of the type, what lies half way to the next, and what lies just
// beside that.
TEST_P(HalfTypeTest, WritingRoundsToNearestEven) {
  std::vector<float> floats;
  std::vector<double> doubles;
  for (const uint16_t code : Codes()) {
    const double number = HalfNumber(GetParam(), code);
    const double next = HalfNumber(GetParam(), static_cast<uint16_t>(code + 1));
    if (!std::isfinite(number) || !std::isfinite(next)) continue;
    const double middle = (number + next) / 2;
    for (const double x : {number, middle}) {
      doubles.insert(doubles.end(), {x, std::nextafter(x, kInfinity),
                                     std::nextafter(x, -kInfinity)});
      const auto narrow = static_cast<float>(x);
      constexpr auto kUp = std::numeric_limits<float>::infinity();
      floats.insert(floats.end(), {narrow, std::nextafter(narrow, kUp),
                                   std::nextafter(narrow, -kUp)});
    }
  }
  ExpectRounded(floats);
  ExpectRounded(doubles);
}

TEST_P(HalfTypeTest, WritingRoundsAnyNumber) {
  Random random(1);
  std::vector<float> floats;
  std::vector<double> doubles;
  // Enough for results to be written past the caches.
  for (size_t i = 0; i < kStreamedBytes / sizeof(uint16_t) + 7; ++i) {
    doubles.push_back(random.Sign() * random.LogUniform(1e-45, 1e39));
    floats.push_back(
        static_cast<float>(random.Sign() * random.LogUniform(1e-44, 3e38)));
  }
  ExpectRounded(floats);
  ExpectRounded(doubles);
}

TEST_P(HalfTypeTest, LargestNumbers) {
  const double largest = GetParam() == Dtype::kFloat16 ? 65504 : 0x1.fep127;
  const double middle = GetParam() == Dtype::kFloat16 ? 65520 : 0x1.ffp127;
  const std::vector<double> numbers = {
      largest,   std::nextafter(middle, 0), middle, -middle, 1e300, kInfinity,
      -kInfinity};
  ExpectRounded(numbers);
  EXPECT_EQ(Store(numbers)[1], HalfCode(GetParam(), largest));
  EXPECT_EQ(Store(numbers)[2], HalfCode(GetParam(), kInfinity));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(HalfNumber(GetParam(), Store<double>({nan})[0])));
  EXPECT_TRUE(std::isnan(
      HalfNumber(GetParam(), Store<float>({static_cast<float>(nan)})[0])));
}

// The first that does not fit is named, and nothing is stored.
TEST_P(HalfTypeTest, WritingOnlyFiniteNumbers) {
  std::array<uint16_t, 3> codes = {1, 2, 3};
  const std::vector<double> numbers = {1, 1e300, 1e301};
  EXPECT_EQ(WriteElements(std::as_writable_bytes(std::span(codes)), GetParam(),
                          0, numbers.data(), numbers.size(), true),
            1);
  EXPECT_EQ(codes, (std::array<uint16_t, 3>{1, 2, 3}));
}

// Wherever it stands among others that fit: in a vector or behind the last.
template <class T>
void ExpectOnlyFiniteWritten(Dtype dtype, T fits, T too_large) {
  constexpr size_t kCount = 37;
  for (const T beyond :
       {too_large, -too_large, std::numeric_limits<T>::infinity(),
        std::numeric_limits<T>::quiet_NaN()}) {
    for (size_t bad = 0; bad <= kCount; ++bad) {
      std::vector<T> numbers(kCount, fits);
      if (bad < kCount) numbers[bad] = beyond;
      std::vector<std::byte> out(kCount * SizeOf(dtype));
      const std::vector<std::byte> before = out;
      ASSERT_EQ(
          WriteElements(std::span(out), dtype, 0, numbers.data(), kCount, true),
          bad);
      ASSERT_EQ(out == before, bad < kCount) << bad;
    }
  }
}

TEST_P(HalfTypeTest, LimitsOfWhatIsFinite) {
  const double middle = GetParam() == Dtype::kFloat16 ? 65520 : 0x1.ffp127;
  const auto narrow = static_cast<float>(middle);
  ExpectOnlyFiniteWritten(GetParam(), std::nextafter(narrow, 0.0f), narrow);
  ExpectOnlyFiniteWritten(GetParam(), std::nextafter(middle, 0.0), middle);
}

TEST(FloatTypeTest, LimitsOfWhatIsFinite) {
  const double middle = 0x1.ffffffp127;
  ExpectOnlyFiniteWritten(Dtype::kFloat32, std::nextafter(middle, 0.0), middle);
}

// Aligned or not, in vectors and behind the last.
TEST(FloatTypeTest, DoublesAreRoundedAndFloatsReadExactly) {
  Random random(2);
  for (size_t count = 0; count <= 37; ++count) {
    std::vector<double> numbers(count);
    for (double& number : numbers) {
      number = random.Sign() * random.LogUniform(1e-45, 1e39);
    }
    for (const size_t shift : {0u, 1u}) {
      std::vector<std::byte> bytes(count * sizeof(float) + shift + 1);
      const auto out = std::span(bytes).subspan(shift, count * sizeof(float));
      WriteElements(out, Dtype::kFloat32, 0, numbers.data(), count, false);
      EXPECT_EQ(bytes.back(), std::byte{0});
      std::vector<double> scratch(count);
      const double* const back = ReadElements<double>(
          {Dtype::kFloat32, {}, out}, 0, count, scratch.data());
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(back[i], static_cast<float>(numbers[i])) << count;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, HalfTypeTest,
                         testing::Values(Dtype::kFloat16, Dtype::kBfloat16),
                         [](const auto& type) {
                           return std::string(NameOf(type.param));
                         });

}  // namespace
}  // namespace lossd::test
