#include "server/tensor_codec.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "lib/core/shape.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

// Whether a list may hold this integer for a tensor of T. Unlike a fraction, it
// was not meant to be rounded.
template <class T>
bool Holds(int64_t number) {
  if constexpr (std::is_floating_point_v<T>) {
    const auto bits = static_cast<uint64_t>(number);
    const uint64_t magnitude = number < 0 ? 0 - bits : bits;
    return magnitude == 0 || magnitude >> std::countr_zero(magnitude) >>
                                     std::numeric_limits<T>::digits ==
                                 0;
  }
  return number >= static_cast<int64_t>(std::numeric_limits<T>::lowest()) &&
         number <= static_cast<int64_t>(std::numeric_limits<T>::max());
}

// Whether a list may hold this number for a tensor of T.
template <class T>
bool Holds(double number) {
  constexpr double kMaximum =
      static_cast<double>(std::numeric_limits<T>::max());
  constexpr double kMinimum =
      static_cast<double>(std::numeric_limits<T>::lowest());
  if constexpr (std::is_floating_point_v<T>) {
    // NaN and infinities are for the library to judge.
    return !(std::isfinite(number) && std::abs(number) > kMaximum);
  }
  // As a double, the largest int64 is 2^63, and adding 1 changes nothing.
  return std::trunc(number) == number && number >= kMinimum &&
         number < kMaximum + 1;
}

std::string TextOf(double number) { return NumberText(number); }
std::string TextOf(int64_t number) { return absl::StrCat(number); }

template <class T>
void AppendValues(std::span<const std::byte> data, v1::DoubleList* list) {
  for (size_t i = 0; i < data.size(); i += sizeof(T)) {
    T number = 0;
    std::memcpy(&number, data.data() + i, sizeof(T));
    list->add_values(static_cast<double>(number));
  }
}

}  // namespace

absl::Status DecodedTensor::CheckCount(const std::string& path) const {
  const int64_t count = list_shape_[0];
  if (count > kMaxListValues) {
    return InvalidField({absl::StrCat(path, ".", storage_), std::nullopt,
                         absl::StrCat(count, " numbers"),
                         absl::StrCat("at most ", kMaxListValues)});
  }
  int64_t elements = 1;
  for (const int64_t size : view_.shape) {
    // Such shapes are for the library to refuse.
    if (size < 0 || __builtin_mul_overflow(elements, size, &elements)) {
      return absl::OkStatus();
    }
  }
  if (elements == count) return absl::OkStatus();
  return InvalidField(
      {absl::StrCat(path, ".", storage_), std::nullopt,
       absl::StrCat(count, " numbers"),
       absl::StrCat(elements, " numbers for ", ShapeText(view_.shape))});
}

template <class To, class From>
absl::Status DecodedTensor::Convert(std::span<const From> numbers,
                                    const std::string& path) {
  converted_.resize(numbers.size() * sizeof(To));
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!Holds<To>(numbers[i])) {
      return InvalidField(
          {absl::StrCat(path, ".", storage_), static_cast<int64_t>(i),
           TextOf(numbers[i]),
           absl::StrCat("a number that ", std::string(NameOf(view_.dtype)),
                        " can hold",
                        std::is_integral_v<From> ? " exactly" : "")});
    }
    const To converted = static_cast<To>(numbers[i]);
    std::memcpy(converted_.data() + i * sizeof(To), &converted, sizeof(To));
  }
  view_.data = std::as_bytes(std::span(converted_));
  return absl::OkStatus();
}

template <class Number>
absl::Status DecodedTensor::DecodeList(std::span<const Number> numbers,
                                       const std::string& path) {
  constexpr Dtype kOwn =
      std::is_same_v<Number, double> ? Dtype::kFloat64 : Dtype::kInt64;
  list_shape_[0] = static_cast<int64_t>(numbers.size());
  if (view_.shape.empty()) view_.shape = list_shape_;
  LOSSD_RETURN_IF_ERROR(CheckCount(path));
  if (view_.dtype == Dtype::kUnspecified) view_.dtype = kOwn;
  if (view_.dtype == kOwn) {
    view_.data = std::as_bytes(numbers);
    return absl::OkStatus();
  }
  switch (view_.dtype) {
    case Dtype::kFloat32:
      return Convert<float>(numbers, path);
    case Dtype::kFloat64:
      return Convert<double>(numbers, path);
    case Dtype::kInt32:
      return Convert<int32_t>(numbers, path);
    case Dtype::kInt64:
      return Convert<int64_t>(numbers, path);
    case Dtype::kBool:
      return Convert<bool>(numbers, path);
    case Dtype::kUnspecified:
    case Dtype::kFloat16:
    case Dtype::kBfloat16:
      break;
  }
  return InvalidField(
      {absl::StrCat(path, ".dtype"), std::nullopt,
       std::string(NameOf(view_.dtype)),
       absl::StrCat("FLOAT32, FLOAT64, INT32, INT64, BOOL for ", storage_)});
}

absl::Status DecodedTensor::Decode(const v1::Tensor& tensor,
                                   const std::string& path) {
  if (!v1::Dtype_IsValid(tensor.dtype())) {
    return InvalidField({absl::StrCat(path, ".dtype"), std::nullopt,
                         absl::StrCat(static_cast<int>(tensor.dtype())),
                         "a value of lossd.v1.Dtype"});
  }
  view_.dtype = static_cast<Dtype>(tensor.dtype());
  view_.shape = {tensor.shape().data(),
                 static_cast<size_t>(tensor.shape_size())};
  switch (tensor.storage_case()) {
    case v1::Tensor::kData:
      view_.data = std::as_bytes(std::span(tensor.data()));
      return absl::OkStatus();
    case v1::Tensor::kValues:
      storage_ = "values";
      return DecodeList<double>(
          {tensor.values().values().data(),
           static_cast<size_t>(tensor.values().values_size())},
          path);
    case v1::Tensor::kIntValues:
      storage_ = "int_values";
      return DecodeList<int64_t>(
          {tensor.int_values().values().data(),
           static_cast<size_t>(tensor.int_values().values_size())},
          path);
    case v1::Tensor::kArena:
      return NotServed({absl::StrCat(path, ".arena"), std::nullopt, "an arena",
                        "data, values or int_values"});
    case v1::Tensor::STORAGE_NOT_SET:
      break;
  }
  return InvalidField(
      {path, std::nullopt, "no elements", "data, values or int_values"});
}

void EncodeAsValues(const TensorView& view, v1::Tensor* tensor) {
  v1::DoubleList* list = tensor->mutable_values();
  if (view.dtype == Dtype::kFloat32) AppendValues<float>(view.data, list);
  if (view.dtype == Dtype::kFloat64) AppendValues<double>(view.data, list);
}

}  // namespace lossd
