#include "client/array.h"

#include <utility>

namespace lossd {
namespace {

template <typename T>
ArrayView View(v1::Dtype dtype, std::span<const T> values,
               std::vector<int64_t> shape) {
  return {dtype, std::move(shape), values.data(), values.size_bytes()};
}

template <typename T>
std::vector<int64_t> FlatShape(std::span<const T> values) {
  return {static_cast<int64_t>(values.size())};
}

}  // namespace

ArrayView ViewOf(std::span<const float> values, std::vector<int64_t> shape) {
  return View(v1::DTYPE_FLOAT32, values, std::move(shape));
}

ArrayView ViewOf(std::span<const double> values, std::vector<int64_t> shape) {
  return View(v1::DTYPE_FLOAT64, values, std::move(shape));
}

ArrayView ViewOf(std::span<const int32_t> values, std::vector<int64_t> shape) {
  return View(v1::DTYPE_INT32, values, std::move(shape));
}

ArrayView ViewOf(std::span<const int64_t> values, std::vector<int64_t> shape) {
  return View(v1::DTYPE_INT64, values, std::move(shape));
}

ArrayView ViewOf(std::span<const uint8_t> values, std::vector<int64_t> shape) {
  return View(v1::DTYPE_BOOL, values, std::move(shape));
}

ArrayView ViewOf(std::span<const float> values) {
  return ViewOf(values, FlatShape(values));
}

ArrayView ViewOf(std::span<const double> values) {
  return ViewOf(values, FlatShape(values));
}

ArrayView ViewOf(std::span<const int32_t> values) {
  return ViewOf(values, FlatShape(values));
}

ArrayView ViewOf(std::span<const int64_t> values) {
  return ViewOf(values, FlatShape(values));
}

ArrayView ViewOf(std::span<const uint8_t> values) {
  return ViewOf(values, FlatShape(values));
}

ArrayView Float16ViewOf(std::span<const uint16_t> bits,
                        std::vector<int64_t> shape) {
  return View(v1::DTYPE_FLOAT16, bits, std::move(shape));
}

ArrayView Bfloat16ViewOf(std::span<const uint16_t> bits,
                         std::vector<int64_t> shape) {
  return View(v1::DTYPE_BFLOAT16, bits, std::move(shape));
}

MutableArrayView MutableViewOf(std::span<float> values) {
  return {v1::DTYPE_FLOAT32, values.data(), values.size_bytes()};
}

MutableArrayView MutableViewOf(std::span<double> values) {
  return {v1::DTYPE_FLOAT64, values.data(), values.size_bytes()};
}

MutableArrayView MutableFloat16ViewOf(std::span<uint16_t> bits) {
  return {v1::DTYPE_FLOAT16, bits.data(), bits.size_bytes()};
}

MutableArrayView MutableBfloat16ViewOf(std::span<uint16_t> bits) {
  return {v1::DTYPE_BFLOAT16, bits.data(), bits.size_bytes()};
}

}  // namespace lossd
