#ifndef LOSSD_LIB_CORE_DTYPE_H_
#define LOSSD_LIB_CORE_DTYPE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lossd {

// Type of a tensor's elements; the numbers are those of lossd.v1.Dtype.
enum class Dtype : uint8_t {
  kUnspecified = 0,
  kFloat32 = 1,
  kFloat64 = 2,
  kFloat16 = 3,
  kBfloat16 = 4,
  kInt32 = 5,
  kInt64 = 6,
  kBool = 7,
};

// Bytes of one element; 0 for kUnspecified.
size_t SizeOf(Dtype dtype);

// Of two bytes, with a significand of 8 or 11 bits.
constexpr bool IsHalf(Dtype dtype) {
  return dtype == Dtype::kFloat16 || dtype == Dtype::kBfloat16;
}

// "FLOAT32"; "UNSPECIFIED" for anything that is no dtype.
std::string_view NameOf(Dtype dtype);

// Whether float holds a number with all its digits: 0, or neither too large
// nor too small.
bool FitsFloat(double number);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_DTYPE_H_
