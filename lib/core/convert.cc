#include "lib/core/convert.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
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

// To nearest, ties to even.
struct ToFloat32 {
  using Stored = float;
  static float Round(double number) { return static_cast<float>(number); }
  static bool IsFinite(float stored) { return std::isfinite(stored); }
};

struct ToFloat64 {
  using Stored = double;
  static double Round(double number) { return number; }
  static bool IsFinite(double stored) { return std::isfinite(stored); }
};

// The float next to the number towards zero, its last bit set if that is not
// the number itself: rounding it once more, to a type with at least two bits
// less, is the same as rounding the number once.
uint32_t BitsRoundedToOdd(double number) {
  const auto nearest = static_cast<float>(number);
  auto bits = std::bit_cast<uint32_t>(nearest);
  if (!std::isfinite(number) || nearest == number) return bits;
  if (std::abs(double{nearest}) > std::abs(number)) --bits;
  return bits | 1;
}

// Drops the last `dropped` bits of a number, to nearest even.
constexpr uint32_t DropBits(uint32_t bits, unsigned dropped) {
  const uint32_t half = (uint32_t{1} << (dropped - 1)) - 1;
  return (bits + half + (bits >> dropped & 1)) >> dropped;
}

struct ToBfloat16 {
  using Stored = uint16_t;
  static uint16_t Round(double number) {
    if (std::isnan(number)) return 0x7fc0;
    return static_cast<uint16_t>(DropBits(BitsRoundedToOdd(number), 16));
  }
  static bool IsFinite(uint16_t stored) { return (stored & 0x7f80) != 0x7f80; }
};

struct ToFloat16 {
  using Stored = uint16_t;
  static uint16_t Round(double number) {
    if (std::isnan(number)) return 0x7e00;
    const uint32_t bits = BitsRoundedToOdd(number);
    const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
    const uint32_t size = bits & 0x7fffffff;
    // 65520 is halfway to what would be the next number.
    if (size >= 0x477ff000) return sign | 0x7c00;
    if (size < 0x38800000) {
      // Subnormal: counted in units of 2^-24. Adding 2^-1 to a float leaves
      // that many bits, rounded by the processor.
      const float shifted = std::bit_cast<float>(size) + 0.5f;
      return sign |
             static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) & 0x7fff);
    }
    // The exponent's bias goes from 127 to 15.
    return sign | static_cast<uint16_t>(DropBits(size - 0x38000000, 13));
  }
  static bool IsFinite(uint16_t stored) { return (stored & 0x7c00) != 0x7c00; }
};

template <class To, class T>
size_t ConvertTo(const T* elements, size_t count, bool finite_only,
                 std::byte* out) {
  using Stored = typename To::Stored;
  for (size_t i = 0; finite_only && i < count; ++i) {
    if (!To::IsFinite(To::Round(elements[i]))) return i;
  }
  for (size_t i = 0; i < count; ++i) {
    const Stored stored = To::Round(elements[i]);
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
                     size_t begin, const T* elements, size_t count,
                     bool finite_only) {
  std::byte* place = destination.data() + begin * SizeOf(dtype);
  if (static_cast<const void*>(elements) == place) return count;
  switch (dtype) {
    case Dtype::kFloat32:
      return ConvertTo<ToFloat32>(elements, count, finite_only, place);
    case Dtype::kFloat16:
      return ConvertTo<ToFloat16>(elements, count, finite_only, place);
    case Dtype::kBfloat16:
      return ConvertTo<ToBfloat16>(elements, count, finite_only, place);
    default:
      return ConvertTo<ToFloat64>(elements, count, finite_only, place);
  }
}

template const float* ReadElements(const TensorView&, size_t, size_t, float*);
template const double* ReadElements(const TensorView&, size_t, size_t, double*);
template const int64_t* ReadElements(const TensorView&, size_t, size_t,
                                     int64_t*);
template float* OutputElements(std::span<std::byte>, Dtype, size_t, float*);
template double* OutputElements(std::span<std::byte>, Dtype, size_t, double*);
template size_t WriteElements(std::span<std::byte>, Dtype, size_t, const float*,
                              size_t, bool);
template size_t WriteElements(std::span<std::byte>, Dtype, size_t,
                              const double*, size_t, bool);

}  // namespace lossd
