#include "client/cli/array_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/half.h"

namespace lossd::cli {
namespace {

template <typename T>
T Load(const std::string& data, int64_t index) {
  T value;
  std::memcpy(&value, data.data() + static_cast<size_t>(index) * sizeof(T),
              sizeof(T));
  return value;
}

}  // namespace

ArrayView Array::View() const {
  return {dtype, shape, data.data(), data.size()};
}

int64_t Array::Size() const { return SizeOf(shape); }

int64_t Array::RowLength() const { return shape.size() < 2 ? 1 : shape.back(); }

double Array::Number(int64_t index) const {
  switch (dtype) {
    case v1::DTYPE_FLOAT32:
      return static_cast<double>(Load<float>(data, index));
    case v1::DTYPE_FLOAT64:
      return Load<double>(data, index);
    case v1::DTYPE_FLOAT16:
      return client_internal::Float16::ToDouble(Load<uint16_t>(data, index));
    case v1::DTYPE_BFLOAT16:
      return client_internal::Bfloat16::ToDouble(Load<uint16_t>(data, index));
    case v1::DTYPE_INT32:
      return Load<int32_t>(data, index);
    case v1::DTYPE_INT64:
      return static_cast<double>(Load<int64_t>(data, index));
    case v1::DTYPE_BOOL:
      return Load<uint8_t>(data, index);
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

int64_t SizeOf(const std::vector<int64_t>& shape) {
  // Otherwise what comes before the 0 could overflow.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  return std::accumulate(shape.begin(), shape.end(), int64_t{1},
                         std::multiplies<>());
}

std::string DtypeName(v1::Dtype dtype) {
  switch (dtype) {
    case v1::DTYPE_BOOL:
      return "bool";
    case v1::DTYPE_FLOAT16:
      return "float16";
    case v1::DTYPE_BFLOAT16:
      return "bfloat16";
    case v1::DTYPE_FLOAT32:
      return "float32";
    case v1::DTYPE_FLOAT64:
      return "float64";
    case v1::DTYPE_INT32:
      return "int32";
    case v1::DTYPE_INT64:
      return "int64";
    default:
      return "unspecified";
  }
}

std::vector<int64_t> RowShape(const std::vector<int64_t>& shape) {
  if (shape.size() < 2) return shape;
  return {shape.begin(), shape.end() - 1};
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

Array Zeros(v1::Dtype dtype, std::vector<int64_t> shape) {
  Array array{dtype, std::move(shape), {}};
  array.data.resize(static_cast<size_t>(array.Size()) * SizeOf(dtype));
  return array;
}

double EuclideanNorm(const Array& array) {
  double norm = 0;
  // Not the root of a sum: squares of large elements overflow.
  for (int64_t i = 0; i < array.Size(); ++i) {
    norm = std::hypot(norm, array.Number(i));
  }
  return norm;
}

MutableArrayView MutableView(Array& array) {
  return {array.dtype, array.data.data(), array.data.size()};
}

}  // namespace lossd::cli
