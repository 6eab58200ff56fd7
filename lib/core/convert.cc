#include "lib/core/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>

#include "lib/core/scratch.h"
#include "lib/core/violation.h"
#include "lib/kernels/half.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/kernels/precision.h"

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

// Half types that are not where they can be read or written at once are copied
// in runs of this size, which stay in the cache.
constexpr size_t kHalfRun = 64;

// The code of a float in a half type.
template <Dtype kHalf>
struct ToHalf {
  using Stored = uint16_t;
  static uint16_t Round(double number) {
    const auto odd = std::bit_cast<float>(BitsRoundedToOdd(number));
    uint16_t code = 0;
    FloatToHalf(kHalf, &odd, 1, &code);
    return code;
  }
  static bool IsFinite(uint16_t stored) {
    constexpr uint16_t kInfinity = kHalf == Dtype::kFloat16 ? 0x7c00 : 0x7f80;
    return (stored & kInfinity) != kInfinity;
  }
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

// Floats to a half type.
template <Dtype kHalf>
size_t ConvertToHalf(const float* elements, size_t count, bool finite_only,
                     std::byte* out, bool stream) {
  if (finite_only && !AllFiniteAsHalf(kHalf, elements, count)) {
    return ConvertTo<ToHalf<kHalf>>(elements, count, finite_only, out);
  }
  if (IsAligned(out, sizeof(uint16_t))) {
    FloatToHalf(kHalf, elements, count, reinterpret_cast<uint16_t*>(out),
                stream);
    return count;
  }
  std::array<uint16_t, kHalfRun> codes;
  for (size_t i = 0; i < count; i += kHalfRun) {
    const size_t size = std::min(kHalfRun, count - i);
    FloatToHalf(kHalf, elements + i, size, codes.data());
    std::memcpy(out + i * sizeof(uint16_t), codes.data(),
                size * sizeof(uint16_t));
  }
  return count;
}

// Doubles to floats.
size_t ConvertToFloat(const double* elements, size_t count, bool finite_only,
                      std::byte* out) {
  const bool fits = !finite_only || AllFiniteAsFloat(elements, count);
  if (!fits || !IsAligned(out, sizeof(float))) {
    return ConvertTo<ToFloat32>(elements, count, finite_only, out);
  }
  DoubleToFloat(elements, count, reinterpret_cast<float*>(out));
  return count;
}

// The codes of a half type as floats, in runs that stay in the cache.
template <class T>
void ConvertFromHalf(Dtype dtype, const std::byte* source, size_t count,
                     T* out) {
  std::array<uint16_t, kHalfRun> codes;
  std::array<float, kHalfRun> floats;
  for (size_t i = 0; i < count; i += kHalfRun) {
    const size_t size = std::min(kHalfRun, count - i);
    std::memcpy(codes.data(), source + i * sizeof(uint16_t),
                size * sizeof(uint16_t));
    HalfToFloat(dtype, codes.data(), size, floats.data());
    for (size_t k = 0; k < size; ++k) out[i + k] = static_cast<T>(floats[k]);
  }
}

template <Dtype kHalf, class T>
size_t ConvertToAnyHalf(const T* elements, size_t count, bool finite_only,
                        std::byte* out, bool stream) {
  if constexpr (std::is_same_v<T, float>) {
    return ConvertToHalf<kHalf>(elements, count, finite_only, out, stream);
  } else {
    return ConvertTo<ToHalf<kHalf>>(elements, count, finite_only, out);
  }
}

template <class Integer>
std::string IntegerText(const TensorView& tensor, size_t index) {
  Integer scratch;
  Integer integer;
  std::memcpy(
      &integer,
      tensor.data.Read(index * sizeof(Integer), sizeof(Integer), &scratch),
      sizeof(Integer));
  return std::to_string(integer);
}

}  // namespace

template <class T>
const T* ReadElements(const TensorView& tensor, size_t begin, size_t count,
                      T* scratch) {
  const size_t size = SizeOf(tensor.dtype);
  if (tensor.dtype == kDtypeOf<T>) {
    const std::byte* own =
        tensor.data.Read(begin * size, count * size, scratch);
    const bool copy = std::is_integral_v<T> && tensor.data.is_shared();
    if (!copy && IsAligned(own, sizeof(T))) {
      return reinterpret_cast<const T*>(own);
    }
    if (count > 0) std::memcpy(scratch, own, count * sizeof(T));
    return scratch;
  }
  std::optional<Scratch<std::byte>> joined;
  if (tensor.data.data() == nullptr) {
    joined.emplace(ScratchUse::kPieces, count * size);
  }
  const std::byte* source = tensor.data.Read(begin * size, count * size,
                                             joined ? joined->data() : nullptr);
  if constexpr (std::is_same_v<T, float>) {
    const bool half =
        tensor.dtype == Dtype::kFloat16 || tensor.dtype == Dtype::kBfloat16;
    if (half && IsAligned(source, sizeof(uint16_t))) {
      HalfToFloat(tensor.dtype, reinterpret_cast<const uint16_t*>(source),
                  count, scratch);
      return scratch;
    }
  }
  if constexpr (std::is_same_v<T, double>) {
    if (tensor.dtype == Dtype::kFloat32 && IsAligned(source, sizeof(float))) {
      FloatToDouble(reinterpret_cast<const float*>(source), count, scratch);
      return scratch;
    }
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
    case Dtype::kBfloat16:
      ConvertFromHalf(tensor.dtype, source, count, scratch);
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
  const bool stream = destination.size() >= kStreamedBytes;
  switch (dtype) {
    case Dtype::kFloat32:
      if constexpr (std::is_same_v<T, double>) {
        return ConvertToFloat(elements, count, finite_only, place);
      }
      return ConvertTo<ToFloat32>(elements, count, finite_only, place);
    case Dtype::kFloat16:
      return ConvertToAnyHalf<Dtype::kFloat16>(elements, count, finite_only,
                                               place, stream);
    case Dtype::kBfloat16:
      return ConvertToAnyHalf<Dtype::kBfloat16>(elements, count, finite_only,
                                                place, stream);
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
