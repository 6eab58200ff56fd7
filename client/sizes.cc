#include "client/sizes.h"

namespace lossd::client_internal {

size_t SizeOf(v1::Dtype dtype) {
  switch (dtype) {
    case v1::DTYPE_BOOL:
      return 1;
    case v1::DTYPE_FLOAT16:
    case v1::DTYPE_BFLOAT16:
      return 2;
    case v1::DTYPE_FLOAT32:
    case v1::DTYPE_INT32:
      return 4;
    case v1::DTYPE_FLOAT64:
    case v1::DTYPE_INT64:
      return 8;
    default:
      return 0;
  }
}

std::optional<int64_t> Product(std::span<const int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(product, size, &product)) return {};
  }
  return product;
}

}  // namespace lossd::client_internal
