// A checked call: what the passes over the tensors share.

#ifndef LOSSD_LIB_CORE_PROBLEM_H_
#define LOSSD_LIB_CORE_PROBLEM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/core/spec.h"
#include "lib/core/sum.h"
#include "lib/core/tensor_view.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// Rows of a block of a row-wise loss: as many as make up at most
// kBlockElements elements, whole lanes of them if they are short.
inline size_t RowsPerBlock(size_t columns) {
  const size_t rows = kBlockElements / columns;
  if (rows >= kSumLanes) return rows / kSumLanes * kSumLanes;
  return rows > 0 ? rows : 1;
}

// Where an output goes; empty if it is not wanted.
struct OutputRun {
  std::span<std::byte> data;
  Dtype dtype = Dtype::kUnspecified;
  // Which element of the output is the first one in `data`.
  size_t first = 0;
};

// Shapes of the views are not valid after planning; sizes are kept here.
struct Problem {
  LossKernel kernel;
  Semantics semantics = Semantics::kStrict;
  Reduction reduction = Reduction::kMean;
  std::optional<double> normalizer;

  size_t rows = 0;
  size_t columns = 0;
  size_t first_axis = 0;
  // Shape of what there is one of for each row.
  std::vector<int64_t> row_shape;
  // Elements of the last axis, which the column input goes by.
  size_t last_axis = 0;

  TensorView predictions;
  TensorView targets;
  // Classes of the targets, and how many of both a row has.
  std::optional<TensorView> target_indices;
  size_t targets_per_row = 0;
  // In the order of the traits' extras.
  std::array<std::optional<TensorView>, kMaxExtras> extras;
  std::optional<TensorView> sample_weights;
  std::optional<TensorView> mask;
  // One a row; a single one is in `upstream`.
  std::optional<TensorView> upstream_rows;
  double upstream = 1;
  // The column input; empty if there is none.
  std::vector<double> column;

  // Of the predictions and of the differentiable extras, in their order.
  std::array<OutputRun, kMaxGradients> gradients;
  OutputRun row_losses;
  // Whether there are, or will be, row losses.
  bool wants_row_losses = false;
  bool diagnostics = false;

  // Compute in double rather than float, which could not hold the numbers or
  // their factors.
  bool in_double = false;

  const LossTraits& traits() const { return kernel.traits; }
  // What is not finite, or outside its range, is computed with.
  bool propagate() const { return semantics != Semantics::kStrict; }
  bool has_gradient() const { return !gradients[0].data.empty(); }
  // The gradient replaces the predictions.
  bool in_place() const {
    return has_gradient() &&
           gradients[0].data.data() == predictions.data.data();
  }
  const RowwiseKernel* rowwise() const {
    return std::get_if<RowwiseKernel>(&kernel.engine);
  }
  // Elements of one row of an extra input.
  size_t ExtraPerRow(size_t extra) const {
    return traits().extras[extra].shape == ExtraInput::Shape::kRows ? 1
                                                                    : columns;
  }
  // Divides the sum of a row's elements.
  double elements_per_mean() const {
    return rowwise() != nullptr || traits().sum_of_elements
               ? 1
               : static_cast<double>(columns);
  }
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_PROBLEM_H_
