#ifndef LOSSD_LIB_CORE_TENSOR_VIEW_H_
#define LOSSD_LIB_CORE_TENSOR_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/core/bytes.h"
#include "lib/core/dtype.h"

namespace lossd {

// A borrowed dense tensor: row-major, little-endian, without padding, at any
// alignment, in one run or in pieces. Shape and data must outlive every use of
// the view.
//
// Rows are the product of all dimensions but the last. Shape [n] is n rows of
// one element, shape [] one row of one element.
struct TensorView {
  Dtype dtype = Dtype::kUnspecified;
  std::span<const int64_t> shape;
  Bytes data;
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_TENSOR_VIEW_H_
