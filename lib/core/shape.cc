#include "lib/core/shape.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

std::string Join(std::string_view field, const char* part) {
  return absl::StrCat(std::string(field), part);
}

std::string NamesOf(std::initializer_list<Dtype> dtypes) {
  return absl::StrJoin(dtypes, ", ", [](std::string* out, Dtype dtype) {
    out->append(NameOf(dtype));
  });
}

}  // namespace

std::string ShapeText(std::span<const int64_t> shape) {
  // A hostile shape may be long; a violation's text may not.
  const auto head = shape.first(std::min<size_t>(shape.size(), kMaxRank));
  return absl::StrCat("[", absl::StrJoin(head.begin(), head.end(), ", "),
                      head.size() < shape.size() ? ", ..." : "", "]");
}

std::span<const int64_t> RowShape(std::span<const int64_t> shape) {
  return shape.size() < 2 ? shape : shape.first(shape.size() - 1);
}

size_t ColumnsOf(std::span<const int64_t> shape) {
  return shape.size() < 2 ? 1 : static_cast<size_t>(shape.back());
}

absl::StatusOr<size_t> CheckTensor(std::string_view field,
                                   const TensorView& tensor,
                                   std::initializer_list<Dtype> dtypes) {
  if (std::find(dtypes.begin(), dtypes.end(), tensor.dtype) == dtypes.end()) {
    return InvalidField({Join(field, ".dtype"), std::nullopt,
                         std::string(NameOf(tensor.dtype)), NamesOf(dtypes)});
  }
  const auto bad_shape = [&](std::string allowed) {
    return InvalidField({Join(field, ".shape"), std::nullopt,
                         ShapeText(tensor.shape), std::move(allowed)});
  };
  if (tensor.shape.size() > kMaxRank) {
    return bad_shape(absl::StrCat("at most ", kMaxRank, " axes"));
  }
  // A zero makes the product zero, but the other axes must still make sense.
  int64_t elements = 1;
  bool empty = false;
  for (const int64_t size : tensor.shape) {
    if (size < 0) return bad_shape("sizes >= 0");
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(elements, size, &elements)) {
      return bad_shape("a product of all sizes below 2^63");
    }
  }
  if (empty) elements = 0;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(
          elements, static_cast<int64_t>(SizeOf(tensor.dtype)), &bytes)) {
    return bad_shape("a tensor of less than 2^63 bytes");
  }
  if (static_cast<uint64_t>(bytes) != tensor.data.size()) {
    return InvalidField(
        {Join(field, ".data"), std::nullopt,
         absl::StrCat(tensor.data.size(), " bytes"),
         absl::StrCat(bytes, " bytes for ", std::string(NameOf(tensor.dtype)),
                      " ", ShapeText(tensor.shape))});
  }
  return static_cast<size_t>(elements);
}

absl::Status CheckShape(std::string_view field, const TensorView& tensor,
                        std::span<const int64_t> expected,
                        std::string_view meaning) {
  if (std::equal(tensor.shape.begin(), tensor.shape.end(), expected.begin(),
                 expected.end())) {
    return absl::OkStatus();
  }
  return InvalidField(
      {Join(field, ".shape"), std::nullopt, ShapeText(tensor.shape),
       absl::StrCat(ShapeText(expected), ", ", std::string(meaning))});
}

}  // namespace lossd
