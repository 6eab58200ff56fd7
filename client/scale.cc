#include "client/scale.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "client/half.h"

namespace lossd::client_internal {
namespace {

// The memory has any alignment.
template <class T, class Product>
void ScaleAll(const MutableArrayView& array, Product product) {
  auto* const bytes = static_cast<std::byte*>(array.data);
  for (size_t i = 0; i + sizeof(T) <= array.bytes; i += sizeof(T)) {
    T element;
    std::memcpy(&element, bytes + i, sizeof(T));
    element = product(element);
    std::memcpy(bytes + i, &element, sizeof(T));
  }
}

template <class Half>
void ScaleHalves(const MutableArrayView& array, double factor) {
  ScaleAll<uint16_t>(array, [factor](uint16_t code) {
    return Half::FromDouble(Half::ToDouble(code) * factor);
  });
}

template <class T>
void ScaleFloats(const MutableArrayView& array, double factor) {
  ScaleAll<T>(array, [factor](T number) {
    return static_cast<T>(static_cast<double>(number) * factor);
  });
}

}  // namespace

void Scale(const MutableArrayView& array, double factor) {
  switch (array.dtype) {
    case v1::DTYPE_FLOAT32:
      return ScaleFloats<float>(array, factor);
    case v1::DTYPE_FLOAT64:
      return ScaleFloats<double>(array, factor);
    case v1::DTYPE_FLOAT16:
      return ScaleHalves<Float16>(array, factor);
    case v1::DTYPE_BFLOAT16:
      return ScaleHalves<Bfloat16>(array, factor);
    default:
      return;
  }
}

}  // namespace lossd::client_internal
