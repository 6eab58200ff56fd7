#include "client/array.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace lossd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename T>
void ExpectView(v1::Dtype dtype) {
  const std::vector<T> values(6);
  const ArrayView flat = ViewOf(values);
  EXPECT_EQ(flat.dtype, dtype);
  EXPECT_THAT(flat.shape, ElementsAre(6));
  EXPECT_EQ(flat.data, values.data());
  EXPECT_EQ(flat.bytes, 6 * sizeof(T));
  const ArrayView shaped = ViewOf(values, {2, 3});
  EXPECT_EQ(shaped.dtype, dtype);
  EXPECT_THAT(shaped.shape, ElementsAre(2, 3));
  EXPECT_EQ(shaped.data, values.data());
  EXPECT_EQ(shaped.bytes, 6 * sizeof(T));
}

TEST(ViewOf, EveryElementType) {
  ExpectView<float>(v1::DTYPE_FLOAT32);
  ExpectView<double>(v1::DTYPE_FLOAT64);
  ExpectView<int32_t>(v1::DTYPE_INT32);
  ExpectView<int64_t>(v1::DTYPE_INT64);
  ExpectView<uint8_t>(v1::DTYPE_BOOL);
}

TEST(ViewOf, ShapeOfOneElementMayBeEmpty) {
  const std::array<double, 1> value = {1};
  EXPECT_THAT(ViewOf(value, {}).shape, IsEmpty());
}

TEST(ViewOf, HalfTypesAreSixteenBits) {
  const std::vector<uint16_t> bits(6);
  for (const auto& [view, dtype] :
       {std::pair{Float16ViewOf(bits, {2, 3}), v1::DTYPE_FLOAT16},
        std::pair{Bfloat16ViewOf(bits, {2, 3}), v1::DTYPE_BFLOAT16}}) {
    EXPECT_EQ(view.dtype, dtype);
    EXPECT_THAT(view.shape, ElementsAre(2, 3));
    EXPECT_EQ(view.data, bits.data());
    EXPECT_EQ(view.bytes, 12u);
  }
}

TEST(MutableViewOf, HalfTypesAreSixteenBits) {
  std::vector<uint16_t> bits(3);
  for (const auto& [view, dtype] :
       {std::pair{MutableFloat16ViewOf(bits), v1::DTYPE_FLOAT16},
        std::pair{MutableBfloat16ViewOf(bits), v1::DTYPE_BFLOAT16}}) {
    EXPECT_EQ(view.dtype, dtype);
    EXPECT_EQ(view.data, bits.data());
    EXPECT_EQ(view.bytes, 6u);
  }
}

TEST(MutableViewOf, FloatAndDouble) {
  std::vector<float> floats(3);
  EXPECT_EQ(MutableViewOf(floats).dtype, v1::DTYPE_FLOAT32);
  EXPECT_EQ(MutableViewOf(floats).data, floats.data());
  EXPECT_EQ(MutableViewOf(floats).bytes, 12u);
  std::vector<double> doubles(3);
  EXPECT_EQ(MutableViewOf(doubles).dtype, v1::DTYPE_FLOAT64);
  EXPECT_EQ(MutableViewOf(doubles).data, doubles.data());
  EXPECT_EQ(MutableViewOf(doubles).bytes, 24u);
}

}  // namespace
}  // namespace lossd
