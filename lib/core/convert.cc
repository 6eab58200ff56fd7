#include "lib/core/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>

#include "lib/core/violation.h"

namespace lossd {
namespace {

template <class T>
constexpr Dtype kDtypeOf = Dtype::kUnspecified;
template <>
constexpr Dtype kDtypeOf<float> = Dtype::kFloat32;
template <>
constexpr Dtype kDtypeOf<double> = Dtype::kFloat64;
template <>
constexpr Dtype kDtypeOf<int64_t> = Dtype::kInt64;

bool IsAligned(const void* pointer, size_t size) {
  return reinterpret_cast<uintptr_t>(pointer) % size == 0;
}

// Largest integer up to which T holds every one.
template <class T>
constexpr int64_t kExactLimit = int64_t{1} << std::numeric_limits<T>::digits;

// The number, or NaN if T cannot hold it exactly: a target that was rounded
// behind the caller's back would be a wrong answer.
template <class T, class Stored>
T Exactly(Stored stored) {
  if constexpr (std::is_integral_v<Stored> && std::is_floating_point_v<T>) {
    constexpr int64_t kLimit =
        std::is_same_v<Stored, uint8_t> ? 1 : kExactLimit<T>;
    const auto whole = static_cast<int64_t>(stored);
    if (whole > kLimit || whole < -kLimit) {
      return std::numeric_limits<T>::quiet_NaN();
    }
  }
  return static_cast<T>(stored);
}

template <class Stored, class T>
void ConvertFrom(const std::byte* source, size_t count, T* out) {
  for (size_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, source + i * sizeof(Stored), sizeof(Stored));
    out[i] = Exactly<T>(stored);
  }
}

template <class Stored, class T>
size_t ConvertTo(const T* elements, size_t count, std::byte* out) {
  // Without a branch, so that the compiler makes vectors of it: NaN if one of
  // the numbers is not finite.
  std::array<Stored, 16> poisons{};
  size_t k = 0;
  for (; k + poisons.size() <= count; k += poisons.size()) {
    for (size_t j = 0; j < poisons.size(); ++j) {
      poisons[j] += static_cast<Stored>(elements[k + j]) * 0;
    }
  }
  for (; k < count; ++k) poisons[0] += static_cast<Stored>(elements[k]) * 0;
  const Stored poison =
      std::accumulate(poisons.begin(), poisons.end(), Stored{0});
  for (size_t i = 0; poison != 0 && i < count; ++i) {
    if (!std::isfinite(static_cast<Stored>(elements[i]))) return i;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto stored = static_cast<Stored>(elements[i]);
    std::memcpy(out + i * sizeof(Stored), &stored, sizeof(Stored));
  }
  return count;
}

float OfBfloat16(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

float OfFloat16(uint16_t bits) {
  constexpr int kMantissaBits = 10;
  const int exponent = bits >> kMantissaBits & 31;
  const int mantissa = bits & 1023;
  const float sign = bits >> 15 ? -1.0f : 1.0f;
  if (exponent == 31) {
    return mantissa == 0 ? sign * std::numeric_limits<float>::infinity()
                         : std::numeric_limits<float>::quiet_NaN();
  }
  // Subnormals have the exponent of the smallest normal number.
  const int whole = exponent == 0 ? mantissa : mantissa + 1024;
  return sign *
         std::ldexp(static_cast<float>(whole), std::max(exponent, 1) - 25);
}

template <float (*kOfBits)(uint16_t), class T>
void ConvertFromHalf(const std::byte* source, size_t count, T* out) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, source + i * sizeof(bits), sizeof(bits));
    out[i] = static_cast<T>(kOfBits(bits));
  }
}

template <class Integer>
std::string IntegerText(const TensorView& tensor, size_t index) {
  Integer integer;
  std::memcpy(&integer, tensor.data.data() + index * sizeof(Integer),
              sizeof(Integer));
  return std::to_string(integer);
}

}  // namespace

template <class T>
const T* ReadElements(const TensorView& tensor, size_t begin, size_t count,
                      T* scratch) {
  const std::byte* source = tensor.data.data() + begin * SizeOf(tensor.dtype);
  if (tensor.dtype == kDtypeOf<T>) {
    if (IsAligned(source, sizeof(T))) return reinterpret_cast<const T*>(source);
    if (count > 0) std::memcpy(scratch, source, count * sizeof(T));
    return scratch;
  }
  switch (tensor.dtype) {
    case Dtype::kFloat32:
      ConvertFrom<float>(source, count, scratch);
      break;
    case Dtype::kFloat64:
      ConvertFrom<double>(source, count, scratch);
      break;
    case Dtype::kInt32:
      ConvertFrom<int32_t>(source, count, scratch);
      break;
    case Dtype::kInt64:
      ConvertFrom<int64_t>(source, count, scratch);
      break;
    case Dtype::kBool:
      ConvertFrom<uint8_t>(source, count, scratch);
      break;
    case Dtype::kFloat16:
      ConvertFromHalf<OfFloat16>(source, count, scratch);
      break;
    case Dtype::kBfloat16:
      ConvertFromHalf<OfBfloat16>(source, count, scratch);
      break;
    case Dtype::kUnspecified:
      break;  // CheckTensor lets none through.
  }
  return scratch;
}

double ReadElement(const TensorView& tensor, size_t index) {
  double scratch = 0;
  return *ReadElements(tensor, index, 1, &scratch);
}

std::string ElementText(const TensorView& tensor, size_t index) {
  switch (tensor.dtype) {
    case Dtype::kInt32:
      return IntegerText<int32_t>(tensor, index);
    case Dtype::kInt64:
      return IntegerText<int64_t>(tensor, index);
    case Dtype::kBool:
      return IntegerText<uint8_t>(tensor, index);
    default:
      return NumberText(ReadElement(tensor, index));
  }
}

std::optional<std::string> ExplainRead(Dtype dtype, double number,
                                       bool as_double) {
  if (dtype == Dtype::kBool) {
    if (std::isfinite(number)) return std::nullopt;
    return "bytes 0 and 1 for BOOL";
  }
  if (dtype == Dtype::kInt32 || dtype == Dtype::kInt64) {
    const int64_t limit = as_double ? kExactLimit<double> : kExactLimit<float>;
    if (std::abs(number) <= static_cast<double>(limit)) return std::nullopt;
    return "integers up to " + std::to_string(limit) +
           (as_double ? ", which float64 holds exactly"
                      : ", which float32 holds exactly; beyond, send float64 "
                        "predictions");
  }
  if (std::isfinite(number)) return std::nullopt;
  return "finite numbers";
}

template <class T>
T* OutputElements(std::span<std::byte> destination, Dtype dtype, size_t begin,
                  T* scratch) {
  std::byte* place = destination.data() + begin * SizeOf(dtype);
  const bool in_place = dtype == kDtypeOf<T> && IsAligned(place, sizeof(T));
  return in_place ? reinterpret_cast<T*>(place) : scratch;
}

template <class T>
size_t WriteElements(std::span<std::byte> destination, Dtype dtype,
                     size_t begin, const T* elements, size_t count) {
  std::byte* place = destination.data() + begin * SizeOf(dtype);
  if (static_cast<const void*>(elements) == place) return count;
  return dtype == Dtype::kFloat32 ? ConvertTo<float>(elements, count, place)
                                  : ConvertTo<double>(elements, count, place);
}

template const float* ReadElements(const TensorView&, size_t, size_t, float*);
template const double* ReadElements(const TensorView&, size_t, size_t, double*);
template const int64_t* ReadElements(const TensorView&, size_t, size_t,
                                     int64_t*);
template float* OutputElements(std::span<std::byte>, Dtype, size_t, float*);
template double* OutputElements(std::span<std::byte>, Dtype, size_t, double*);
template size_t WriteElements(std::span<std::byte>, Dtype, size_t, const float*,
                              size_t);
template size_t WriteElements(std::span<std::byte>, Dtype, size_t,
                              const double*, size_t);

}  // namespace lossd
