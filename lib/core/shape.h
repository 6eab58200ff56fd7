// Shapes and sizes, checked once so that nothing later has to.

#ifndef LOSSD_LIB_CORE_SHAPE_H_
#define LOSSD_LIB_CORE_SHAPE_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/core/tensor_view.h"

namespace lossd {

inline constexpr size_t kMaxRank = 8;

// "[3, 4]".
std::string ShapeText(std::span<const int64_t> shape);

// All but the last axis; [n] for [n] and [] for [], whose rows have one
// element.
std::span<const int64_t> RowShape(std::span<const int64_t> shape);

// Elements of the last axis, 1 for shapes of less than two axes.
size_t ColumnsOf(std::span<const int64_t> shape);

// Checks a tensor by itself: dtype among `dtypes`, rank, sizes, data length.
// INVALID_ARGUMENT naming FIELD.dtype, FIELD.shape or FIELD.data. Returns the
// number of elements.
absl::StatusOr<size_t> CheckTensor(std::string_view field,
                                   const TensorView& tensor,
                                   std::initializer_list<Dtype> dtypes);

// INVALID_ARGUMENT naming FIELD.shape unless the tensor's shape is `expected`,
// which `meaning` describes ("the shape of predictions").
absl::Status CheckShape(std::string_view field, const TensorView& tensor,
                        std::span<const int64_t> expected,
                        std::string_view meaning);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_SHAPE_H_
