// What the engines need to know of a loss: how to run a block of it, and how to
// explain an element that it refused. No Highway here: kernels are reached
// through functions that dispatch to the best vector target.

#ifndef LOSSD_LIB_KERNELS_LOSS_KERNEL_H_
#define LOSSD_LIB_KERNELS_LOSS_KERNEL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace lossd {

// Elements in a block of an element-wise loss, and at most in the rows of a
// block of a row-wise loss that has more than one row: one partial sum each.
inline constexpr size_t kBlockElements = 4096;

// Gradients of this size are written past the caches: reading a line in order
// to overwrite it would be a quarter of the traffic.
inline constexpr size_t kStreamedBytes = size_t{4} << 20;

// A vector with one number for each column: class_weights, pos_weight.
struct ColumnInput {
  // Key in extra_inputs.
  std::string_view name;
  // 0 is allowed, though not for all columns at once.
  bool zero_allowed = false;
  // An option that may not be set beside it, when it is set.
  std::string_view excluded_by;
};

// Why an element is refused.
struct Offence {
  enum class Tensor : uint8_t { kPredictions, kTargets };
  Tensor tensor = Tensor::kPredictions;
  // Which element of the row; for labels always 0.
  size_t column = 0;
  std::string got;
  std::string allowed;
};

// A run of at most kBlockElements elements. Arrays are aligned to T only.
template <class T>
struct ElementwiseArgs {
  const T* predictions = nullptr;
  const T* targets = nullptr;
  size_t count = 0;
  // Multiplies slopes: of each element, or the same for all.
  const T* scales = nullptr;
  T scale = 0;
  // Multiplies values in the sum; 1 or 0 for elements that do or do not count.
  // Both are set exactly when `scales` is.
  const double* weights = nullptr;
  const T* active = nullptr;
  // The column input of each element; null if there is none.
  const T* column = nullptr;
  // Slope times scale; null if not wanted.
  T* gradient = nullptr;
  // The gradient is kStreamedBytes or more: nobody reads it from a cache.
  bool stream = false;
  // Values without weights, 0 for elements that do not count; null if not
  // wanted.
  double* values = nullptr;
};

struct ElementwiseSum {
  // Sum of weight * value.
  double sum = 0;
  // Some element that counts was refused, or gave a result that is not finite.
  bool refused = false;
};

// A loss with a value and a slope for each element; a row's loss is the mean.
struct ElementwiseKernel {
  std::function<ElementwiseSum(const ElementwiseArgs<float>&)> run_float;
  std::function<ElementwiseSum(const ElementwiseArgs<double>&)> run_double;
  // Why these two finite numbers are refused; nothing if they are not.
  std::function<std::optional<Offence>(double prediction, double target)>
      explain;
  // float32 cannot hold an option: always run in double.
  bool double_only = false;
  std::optional<ColumnInput> column_input;
};

// A run of rows. Arrays are aligned to T only.
template <class T>
struct RowwiseArgs {
  const T* predictions = nullptr;   // rows x columns
  const T* targets = nullptr;       // rows x columns, or null with labels
  const int64_t* labels = nullptr;  // rows
  size_t rows = 0;
  size_t columns = 0;
  // Multiplies gradients, for each row.
  const double* scales = nullptr;
  // 1 for rows that count, else 0.
  const uint8_t* active = nullptr;
  // The column input; null if there is none.
  const double* column = nullptr;
  // rows x columns; null if not wanted. Rows that do not count become +0.
  T* gradient = nullptr;
  // As in ElementwiseArgs.
  bool stream = false;
  // Losses of the rows without weights; 0 for rows that do not count.
  double* row_losses = nullptr;
};

// A loss that couples the elements of a row.
struct RowwiseKernel {
  // Returns the first row that counts and was refused; `rows` if there is none.
  std::function<size_t(const RowwiseArgs<float>&)> run_float;
  std::function<size_t(const RowwiseArgs<double>&)> run_double;
  // Why a row is refused; nothing if it is not. Either targets or a label.
  std::function<std::optional<Offence>(
      std::span<const double> predictions, std::span<const double> targets,
      std::optional<int64_t> label, std::span<const double> column)>
      explain;
  // Targets are class labels.
  bool labels = false;
  std::optional<int64_t> ignore_index;
  // float32 would lose digits that the loss needs: always run in double.
  bool double_only = false;
  std::optional<ColumnInput> column_input;
};

using LossKernel = std::variant<ElementwiseKernel, RowwiseKernel>;

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_LOSS_KERNEL_H_
