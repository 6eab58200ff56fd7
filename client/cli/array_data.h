// Arrays that lossctl owns: read from files, or received.

#ifndef LOSSD_CLIENT_CLI_ARRAY_DATA_H_
#define LOSSD_CLIENT_CLI_ARRAY_DATA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/array.h"
#include "client/sizes.h"
#include "lossd/v1/tensor.pb.h"

namespace lossd::cli {

// A dense array, row-major and little-endian. The length of `data` is the
// product of `shape` times the size of `dtype`.
struct Array {
  v1::Dtype dtype = v1::DTYPE_UNSPECIFIED;
  // Sizes of the axes, outermost first. Empty: one single element.
  std::vector<int64_t> shape;
  std::string data;

  // Borrows this array.
  ArrayView View() const;
  // Number of elements.
  int64_t Size() const;
  // Number of elements of the last axis; 1 if there are fewer than two axes,
  // since [n] is n rows of one element.
  int64_t RowLength() const;
  // Element `index`, counted over the flattened array. Integers beyond 2^53
  // are rounded. Requires 0 <= index < Size() and a known dtype.
  double Number(int64_t index) const;
};

using client_internal::SizeOf;

// Number of elements of an array of this shape. Requires that the product of
// the axes that are not 0 is below 2^63.
int64_t SizeOf(const std::vector<int64_t>& shape);

// "float32", "bool".
std::string DtypeName(v1::Dtype dtype);

// Shape of the runs along the last axis of predictions of this shape: without
// that axis if there are at least two.
std::vector<int64_t> RowShape(const std::vector<int64_t>& shape);

// "[300, 10]".
std::string ShapeText(const std::vector<int64_t>& shape);

// An array of zeros. Requires of `shape` what SizeOf requires.
Array Zeros(v1::Dtype dtype, std::vector<int64_t> shape);

// Square root of the sum of squares of all elements, in float64.
double EuclideanNorm(const Array& array);

// `array` as the destination of a result. Requires a float dtype.
MutableArrayView MutableView(Array& array);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_ARRAY_DATA_H_
