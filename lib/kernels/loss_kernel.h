// What the engines need to know of a loss: how to run a block of it, and how to
// explain an element that it refused. No Highway here: kernels are reached
// through functions that dispatch to the best vector target.

#ifndef LOSSD_LIB_KERNELS_LOSS_KERNEL_H_
#define LOSSD_LIB_KERNELS_LOSS_KERNEL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/core/spec.h"

namespace lossd {

// Elements in a block of an element-wise loss, and at most in the rows of a
// block of a row-wise loss that has more than one row: one partial sum each.
inline constexpr size_t kBlockElements = 4096;

// Gradients of this size are written past the caches: reading a line in order
// to overwrite it would be a quarter of the traffic.
inline constexpr size_t kStreamedBytes = size_t{4} << 20;

// Most tensors a loss reads besides predictions, targets and a column input.
inline constexpr size_t kMaxExtras = 4;

// Most gradients a loss gives: of the predictions and of two extra inputs.
inline constexpr size_t kMaxGradients = 3;

// A vector with one number for each column: class_weights, pos_weight.
struct ColumnInput {
  // Key in extra_inputs.
  std::string_view name;
  // 0 is allowed, though not for all columns at once.
  bool zero_allowed = false;
  // An option that may not be set beside it, when it is set.
  std::string_view excluded_by{};
  // Numbers must be smaller; 0: there is no such limit.
  double below = 0;
  // Numbers that a float would round make the computation float64.
  bool exact = false;
};

// A further tensor as large as the predictions or with a number a row.
struct ExtraInput {
  enum class Shape : uint8_t { kPredictions, kRows };

  // Key in extra_inputs.
  std::string_view name;
  Shape shape = Shape::kPredictions;
  bool required = true;
  // Has a gradient, in extra_gradients under the same name.
  bool differentiable = false;
};

enum class TargetsRole : uint8_t {
  kDense,   // a number for each prediction
  kLabels,  // a class a row
  kRows,    // a number a row
  kNone,    // not read: refused when given
};

// What a row is.
enum class RowLayout : uint8_t {
  kLastAxis,   // a run along the last axis; one element where there is one axis
  kElements,   // every element
  kFirstAxis,  // everything behind one index of the first axis
  kWhole,      // the whole tensor
};

// A figure that a loss adds when diagnostics are wanted.
struct DiagnosticInfo {
  enum class Combine : uint8_t { kMean, kExpOfMean, kSum, kMax };

  std::string_view name;
  // Over the rows that count, or their elements for element-wise losses; 0
  // where none does.
  Combine combine = Combine::kMean;
};

// What planning and reducing must know of a loss.
struct LossTraits {
  TargetsRole targets = TargetsRole::kDense;
  RowLayout layout = RowLayout::kLastAxis;
  std::optional<ColumnInput> column_input{};
  std::vector<ExtraInput> extras{};
  std::vector<DiagnosticInfo> diagnostics{};
  // Rows with this label do not count.
  std::optional<int64_t> ignore_index{};
  // float32 cannot hold an option, or would lose digits that the loss needs:
  // always run in double.
  bool double_only = false;
  // An element-wise loss's row is the sum of its elements, not their mean.
  bool sum_of_elements = false;
  // The reduction MEAN divides by elements, not rows.
  bool mean_over_elements = false;
  // Predictions are logits, so that probabilities would be a mistake.
  bool logits = false;
  // Of the extras exactly one must be given.
  bool one_of_extras = false;
  // Targets may be weights of the classes of the extra input target_indices,
  // which this completes.
  std::optional<TailPolicy> tail_policy{};
  // Class weights beside labels do not make PyTorch's mean a weighted one.
  bool plain_mean = false;
};

// Why an element is refused.
struct Offence {
  enum class Tensor : uint8_t { kPredictions, kTargets, kIndices, kExtra };
  Tensor tensor = Tensor::kPredictions;
  // Which element of the row; for a tensor with one number a row always 0.
  size_t column = 0;
  std::string got;
  std::string allowed;
  // For kExtra: which one of the traits' extras.
  size_t extra = 0;
};

// A run of at most kBlockElements elements. Arrays are aligned to T only.
template <class T>
struct ElementwiseArgs {
  const T* predictions = nullptr;
  // Null for losses without.
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
  // In the order of the traits' extras; null where not given, which is read as
  // 0.
  std::array<const T*, kMaxExtras> extras{};
  // Slopes times scale, of the predictions and of the differentiable extras;
  // null where not wanted.
  std::array<T*, kMaxGradients> gradients{};
  // Gradients are kStreamedBytes or more: nobody reads them from a cache.
  bool stream = false;
  // Values without weights, 0 for elements that do not count; null if not
  // wanted.
  double* values = nullptr;
  // Room for one number for each of the traits' diagnostics: sums or largest
  // over the elements that count; null if not wanted.
  double* diagnostics = nullptr;
  // Where a value is NaN, slopes are too.
  bool propagate = false;
};

struct ElementwiseSum {
  // Sum of weight * value.
  double sum = 0;
  // Some element that counts was refused, or gave a result that is not finite.
  bool refused = false;
  // Elements that count whose prediction or target was clipped.
  int64_t clipped = 0;
};

// A loss with a value and a slope for each element.
struct ElementwiseKernel {
  std::function<ElementwiseSum(const ElementwiseArgs<float>&)> run_float;
  std::function<ElementwiseSum(const ElementwiseArgs<double>&)> run_double;
  // Why these finite numbers are refused; nothing if they are not. `extras` in
  // the order of the traits.
  std::function<std::optional<Offence>(double prediction, double target,
                                       std::span<const double> extras)>
      explain;
};

// A run of rows. Arrays are aligned to T only.
template <class T>
struct RowwiseArgs {
  const T* predictions = nullptr;  // rows x columns
  // rows x columns; rows, for TargetsRole::kRows; rows x targets_per_row with
  // indices; null with labels and for losses without.
  const T* targets = nullptr;
  const int64_t* labels = nullptr;   // rows
  const int64_t* indices = nullptr;  // rows x targets_per_row
  size_t targets_per_row = 0;
  size_t rows = 0;
  size_t columns = 0;
  // Multiplies gradients, for each row.
  const double* scales = nullptr;
  // 1 for rows that count, else 0.
  const uint8_t* active = nullptr;
  // The column input; null if there is none.
  const double* column = nullptr;
  // In the order of the traits' extras, rows x columns or rows; null where not
  // given.
  std::array<const T*, kMaxExtras> extras{};
  // rows x columns each: of the predictions and of the differentiable extras;
  // null where not wanted. Rows that do not count become +0.
  std::array<T*, kMaxGradients> gradients{};
  // As in ElementwiseArgs.
  bool stream = false;
  // Losses of the rows without weights; 0 for rows that do not count.
  double* row_losses = nullptr;
  // Diagnostic d of row i goes to [d * rows + i], 0 for rows that do not count;
  // null if not wanted.
  double* diagnostics = nullptr;
  // Rows are never refused, but for their labels: results may be infinite or
  // NaN.
  bool propagate = false;
  // Predictions come from a half type, with its rounding.
  bool half_predictions = false;
};

struct RowwiseOutcome {
  // First row that counts and was refused; the number of rows if there is none.
  size_t refused = 0;
  // Elements that were clipped.
  int64_t clipped = 0;
};

// One row, for people.
struct RowView {
  std::span<const double> predictions;
  std::span<const double> targets;
  std::optional<int64_t> label{};
  std::span<const int64_t> indices{};
  std::span<const double> column;
  // In the order of the traits' extras; empty where not given.
  std::array<std::span<const double>, kMaxExtras> extras{};
  bool half_predictions = false;
};

// A loss that couples the elements of a row.
struct RowwiseKernel {
  // May be unset where the traits say double_only.
  std::function<RowwiseOutcome(const RowwiseArgs<float>&)> run_float;
  std::function<RowwiseOutcome(const RowwiseArgs<double>&)> run_double;
  // Why a row is refused; nothing if it is not.
  std::function<std::optional<Offence>(const RowView&)> explain;
};

struct LossKernel {
  LossTraits traits{};
  std::variant<ElementwiseKernel, RowwiseKernel> engine;
};

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_LOSS_KERNEL_H_
