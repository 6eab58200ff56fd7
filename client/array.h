// Borrowed arrays: how callers of the client hand over tensors and buffers.

#ifndef LOSSD_CLIENT_ARRAY_H_
#define LOSSD_CLIENT_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lossd/v1/tensor.pb.h"

namespace lossd {

// A dense tensor in the caller's memory: row-major, little-endian, without
// padding, of any alignment. It owns nothing: `data` must outlive the call it
// is passed to, and must not change meanwhile.
struct ArrayView {
  // Type of the elements.
  v1::Dtype dtype = v1::DTYPE_UNSPECIFIED;
  // Sizes of the axes, outermost first. Empty: one single element.
  std::vector<int64_t> shape;
  // The first element; may be null if `bytes` is 0.
  const void* data = nullptr;
  // Length of the memory at `data`. The server refuses what does not match
  // dtype and shape.
  size_t bytes = 0;
};

// Memory of the caller that a result is written to, row-major. It owns
// nothing: `data` must outlive the call it is passed to. An empty one (bytes
// is 0) means that the result is not wanted.
struct MutableArrayView {
  // Type of the elements wanted: DTYPE_FLOAT32, DTYPE_FLOAT64, DTYPE_FLOAT16 or
  // DTYPE_BFLOAT16.
  v1::Dtype dtype = v1::DTYPE_UNSPECIFIED;
  // Where the first element goes.
  void* data = nullptr;
  // Length of the memory at `data`: exactly that of the result.
  size_t bytes = 0;
};

// `values` as a tensor of this shape. std::vector and std::array convert to
// the spans: ViewOf(predictions, {rows, classes}).
ArrayView ViewOf(std::span<const float> values, std::vector<int64_t> shape);
ArrayView ViewOf(std::span<const double> values, std::vector<int64_t> shape);
ArrayView ViewOf(std::span<const int32_t> values, std::vector<int64_t> shape);
ArrayView ViewOf(std::span<const int64_t> values, std::vector<int64_t> shape);
// DTYPE_BOOL: each value is 0 or 1.
ArrayView ViewOf(std::span<const uint8_t> values, std::vector<int64_t> shape);

// `values` as a tensor of shape [values.size()].
ArrayView ViewOf(std::span<const float> values);
ArrayView ViewOf(std::span<const double> values);
ArrayView ViewOf(std::span<const int32_t> values);
ArrayView ViewOf(std::span<const int64_t> values);
// DTYPE_BOOL: each value is 0 or 1.
ArrayView ViewOf(std::span<const uint8_t> values);

// `bits` as a tensor of this shape. C++20 has no type for these numbers: each
// element is the 16 bits of one.
ArrayView Float16ViewOf(std::span<const uint16_t> bits,
                        std::vector<int64_t> shape);
ArrayView Bfloat16ViewOf(std::span<const uint16_t> bits,
                         std::vector<int64_t> shape);

// `values` as the destination of a result.
MutableArrayView MutableViewOf(std::span<float> values);
MutableArrayView MutableViewOf(std::span<double> values);

// `bits` as the destination of a result; 16 bits for each number.
MutableArrayView MutableFloat16ViewOf(std::span<uint16_t> bits);
MutableArrayView MutableBfloat16ViewOf(std::span<uint16_t> bits);

}  // namespace lossd

#endif  // LOSSD_CLIENT_ARRAY_H_
