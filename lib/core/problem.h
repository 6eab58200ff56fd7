// A checked call: what the passes over the tensors share.

#ifndef LOSSD_LIB_CORE_PROBLEM_H_
#define LOSSD_LIB_CORE_PROBLEM_H_

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

// Shapes of the views are not valid after planning; sizes are kept here.
struct Problem {
  LossKernel kernel;
  Reduction reduction = Reduction::kMean;
  std::optional<double> normalizer;

  size_t rows = 0;
  size_t columns = 0;
  size_t first_axis = 0;

  TensorView predictions;
  TensorView targets;
  std::optional<TensorView> sample_weights;
  std::optional<TensorView> mask;
  // One a row; a single one is in `upstream`.
  std::optional<TensorView> upstream_rows;
  double upstream = 1;
  // The column input; empty if there is none.
  std::vector<double> column;

  std::span<std::byte> gradient;
  Dtype gradient_dtype = Dtype::kUnspecified;
  std::span<std::byte> row_losses;

  // Compute in double rather than float, which could not hold the numbers or
  // their factors.
  bool in_double = false;

  bool has_gradient() const { return !gradient.empty(); }
  // The gradient replaces the predictions.
  bool in_place() const {
    return has_gradient() && gradient.data() == predictions.data.data();
  }
  const RowwiseKernel* rowwise() const {
    return std::get_if<RowwiseKernel>(&kernel);
  }
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_PROBLEM_H_
