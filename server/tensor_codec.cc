#include "server/tensor_codec.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/convert.h"
#include "lib/core/shape.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"

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

}  // namespace

void DecodedTensor::SetPayload(const wire::Payload& payload) {
  if (payload.is_whole()) {
    view_.data = payload.whole();
    return;
  }
  size_t begin = 0;
  pieces_.reserve(payload.pieces().size());
  for (const std::span<const std::byte> piece : payload.pieces()) {
    pieces_.push_back({begin, piece});
    begin += piece.size();
  }
  view_.data = Bytes(pieces_, payload.size());
}

absl::Status DecodedTensor::CheckCount() const {
  const int64_t count = list_shape_[0];
  if (count > kMaxListValues) {
    return InvalidField({absl::StrCat(path_, ".", storage_), std::nullopt,
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
      {absl::StrCat(path_, ".", storage_), std::nullopt,
       absl::StrCat(count, " numbers"),
       absl::StrCat(elements, " numbers for ", ShapeText(view_.shape))});
}

absl::Status DecodedTensor::CannotHold(size_t index, std::string got,
                                       bool exactly) const {
  return InvalidField(
      {absl::StrCat(path_, ".", storage_), static_cast<int64_t>(index),
       std::move(got),
       absl::StrCat("a number that ", std::string(NameOf(view_.dtype)),
                    " can hold", exactly ? " exactly" : "")});
}

template <class To, class From>
absl::Status DecodedTensor::Convert(std::span<const From> numbers) {
  converted_.resize(numbers.size() * sizeof(To));
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (!Holds<To>(numbers[i])) {
      return CannotHold(i, TextOf(numbers[i]), std::is_integral_v<From>);
    }
    const To converted = static_cast<To>(numbers[i]);
    std::memcpy(converted_.data() + i * sizeof(To), &converted, sizeof(To));
  }
  view_.data = std::as_bytes(std::span(converted_));
  return absl::OkStatus();
}

template <class From>
absl::Status DecodedTensor::ConvertToHalf(std::span<const From> numbers) {
  converted_.resize(numbers.size() * SizeOf(view_.dtype));
  const auto bytes = std::as_writable_bytes(std::span(converted_));
  const std::vector<double> wanted(numbers.begin(), numbers.end());
  WriteElements(bytes, view_.dtype, 0, wanted.data(), wanted.size(), false);
  view_.data = bytes;
  std::vector<double> memory(numbers.size());
  const double* const held =
      ReadElements(view_, 0, numbers.size(), memory.data());
  for (size_t i = 0; i < numbers.size(); ++i) {
    // NaN and infinities are for the library to judge.
    const bool fits = std::isfinite(held[i]) || !std::isfinite(wanted[i]);
    if (!fits || (std::is_integral_v<From> && held[i] != wanted[i])) {
      return CannotHold(i, TextOf(numbers[i]), std::is_integral_v<From>);
    }
  }
  return absl::OkStatus();
}

template <class Number>
absl::Status DecodedTensor::DecodeList(std::span<const Number> numbers) {
  constexpr Dtype kOwn =
      std::is_same_v<Number, double> ? Dtype::kFloat64 : Dtype::kInt64;
  list_shape_[0] = static_cast<int64_t>(numbers.size());
  if (view_.shape.empty()) view_.shape = list_shape_;
  LOSSD_RETURN_IF_ERROR(CheckCount());
  if (view_.dtype == Dtype::kUnspecified) view_.dtype = kOwn;
  if (view_.dtype == kOwn) {
    view_.data = std::as_bytes(numbers);
    return absl::OkStatus();
  }
  switch (view_.dtype) {
    case Dtype::kFloat32:
      return Convert<float>(numbers);
    case Dtype::kFloat64:
      return Convert<double>(numbers);
    case Dtype::kInt32:
      return Convert<int32_t>(numbers);
    case Dtype::kInt64:
      return Convert<int64_t>(numbers);
    case Dtype::kBool:
      return Convert<bool>(numbers);
    case Dtype::kFloat16:
    case Dtype::kBfloat16:
      return ConvertToHalf(numbers);
    case Dtype::kUnspecified:
      break;
  }
  return InvalidField({absl::StrCat(path_, ".dtype"), std::nullopt,
                       std::string(NameOf(view_.dtype)),
                       absl::StrCat("a dtype for ", storage_)});
}

absl::Status DecodedTensor::DecodeType(const v1::Tensor& tensor) {
  if (!v1::Dtype_IsValid(tensor.dtype())) {
    return InvalidField({absl::StrCat(path_, ".dtype"), std::nullopt,
                         absl::StrCat(static_cast<int>(tensor.dtype())),
                         "a value of lossd.v1.Dtype"});
  }
  view_.dtype = static_cast<Dtype>(tensor.dtype());
  view_.shape = {tensor.shape().data(),
                 static_cast<size_t>(tensor.shape_size())};
  return absl::OkStatus();
}

absl::Status DecodedTensor::DecodeStreamed(std::string path,
                                           const v1::Tensor& tensor,
                                           const TensorSources& sources) {
  if (tensor.storage_case() != v1::Tensor::STORAGE_NOT_SET) {
    return Decode(std::move(path), tensor, sources);
  }
  path_ = std::move(path);
  LOSSD_RETURN_IF_ERROR(DecodeType(tensor));
  if (view_.dtype == Dtype::kUnspecified) {
    return InvalidField({absl::StrCat(path_, ".dtype"), std::nullopt,
                         "DTYPE_UNSPECIFIED", "the dtype of the chunks"});
  }
  auto bytes = static_cast<int64_t>(SizeOf(view_.dtype));
  for (const int64_t size : view_.shape) {
    // Such shapes are for the library to refuse.
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) bytes = 0;
  }
  view_.data = Bytes(&window_, static_cast<size_t>(bytes));
  return absl::OkStatus();
}

absl::Status DecodedTensor::DecodeArena(const v1::ArenaRef& ref,
                                        const ArenaRegistry* arenas) {
  storage_ = "arena";
  absl::StatusOr<ArenaRange> range =
      FindRange(arenas, absl::StrCat(path_, ".arena"), ref);
  if (!range.ok()) return range.status();
  range_ = *std::move(range);
  view_.data = Bytes::Shared(range_.memory);
  return absl::OkStatus();
}

absl::Status DecodedTensor::Decode(std::string path, const v1::Tensor& tensor,
                                   const TensorSources& sources) {
  path_ = std::move(path);
  LOSSD_RETURN_IF_ERROR(DecodeType(tensor));
  switch (tensor.storage_case()) {
    case v1::Tensor::kData:
      SetPayload(sources.payloads.Of(tensor.data()));
      return absl::OkStatus();
    case v1::Tensor::kValues:
      storage_ = "values";
      return DecodeList<double>(
          {tensor.values().values().data(),
           static_cast<size_t>(tensor.values().values_size())});
    case v1::Tensor::kIntValues:
      storage_ = "int_values";
      return DecodeList<int64_t>(
          {tensor.int_values().values().data(),
           static_cast<size_t>(tensor.int_values().values_size())});
    case v1::Tensor::kArena:
      return DecodeArena(tensor.arena(), sources.arenas);
    case v1::Tensor::STORAGE_NOT_SET:
      break;
  }
  return InvalidField({path_, std::nullopt, "no elements",
                       "data, arena, values or int_values"});
}

void EncodeAsValues(const TensorView& view, v1::Tensor* tensor) {
  v1::DoubleList* list = tensor->mutable_values();
  const size_t count = view.data.size() / SizeOf(view.dtype);
  for (size_t i = 0; i < count; ++i) list->add_values(ReadElement(view, i));
}

}  // namespace lossd
