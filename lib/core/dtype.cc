#include "lib/core/dtype.h"

#include <cmath>
#include <limits>

namespace lossd {

size_t SizeOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kUnspecified:
      return 0;
    case Dtype::kBool:
      return 1;
    case Dtype::kFloat16:
    case Dtype::kBfloat16:
      return 2;
    case Dtype::kFloat32:
    case Dtype::kInt32:
      return 4;
    case Dtype::kFloat64:
    case Dtype::kInt64:
      return 8;
  }
  return 0;
}

std::string_view NameOf(Dtype dtype) {
  switch (dtype) {
    case Dtype::kUnspecified:
      break;
    case Dtype::kFloat32:
      return "FLOAT32";
    case Dtype::kFloat64:
      return "FLOAT64";
    case Dtype::kFloat16:
      return "FLOAT16";
    case Dtype::kBfloat16:
      return "BFLOAT16";
    case Dtype::kInt32:
      return "INT32";
    case Dtype::kInt64:
      return "INT64";
    case Dtype::kBool:
      return "BOOL";
  }
  return "UNSPECIFIED";
}

bool FitsFloat(double number) {
  const double size = std::abs(number);
  return size == 0 || (size >= std::numeric_limits<float>::min() &&
                       size <= std::numeric_limits<float>::max());
}

}  // namespace lossd
