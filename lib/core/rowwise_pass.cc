#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/core/convert.h"
#include "lib/core/pass.h"
#include "lib/core/scratch.h"
#include "lib/core/sum.h"

namespace lossd {
namespace {

template <class T>
size_t RunKernel(const RowwiseKernel& kernel, const RowwiseArgs<T>& args) {
  if constexpr (std::is_same_v<T, float>) {
    return kernel.run_float(args);
  } else {
    return kernel.run_double(args);
  }
}

class RowwisePass final : public Pass {
 public:
  RowwisePass(const Problem& problem, const RowWeights& weights)
      : problem_(problem),
        weights_(weights),
        kernel_(std::get<RowwiseKernel>(problem.kernel)),
        rows_per_block_(RowsPerBlock(problem.columns)),
        sums_((problem.rows + rows_per_block_ - 1) / rows_per_block_),
        refused_(sums_.size(), problem.rows) {}

  size_t blocks() const override { return sums_.size(); }

  void RunBlock(size_t block) override {
    const size_t begin = block * rows_per_block_;
    const size_t count = std::min(rows_per_block_, problem_.rows - begin);
    if (problem_.in_double) {
      Run<double>(begin, count, block);
    } else {
      Run<float>(begin, count, block);
    }
  }

  std::optional<FieldViolation> Violation() override;

  double Finish() override { return TreeSum(sums_); }

 private:
  template <class T>
  void Run(size_t begin, size_t count, size_t block);

  const Problem& problem_;
  const RowWeights& weights_;
  const RowwiseKernel& kernel_;
  const size_t rows_per_block_;
  std::vector<double> sums_;
  // First refused row of each block; the number of rows if there is none.
  std::vector<size_t> refused_;
};

template <class T>
void RowwisePass::Run(size_t begin, size_t count, size_t block) {
  const size_t first = begin * problem_.columns;
  const size_t elements = count * problem_.columns;
  double weights[kBlockElements];
  double scales[kBlockElements];
  double losses[kBlockElements];
  uint8_t active[kBlockElements];
  weights_.Fill(begin, count, weights, scales, active);

  RowwiseArgs<T> args;
  args.rows = count;
  args.columns = problem_.columns;
  args.scales = scales;
  args.active = active;
  args.row_losses = losses;
  args.column = problem_.column.empty() ? nullptr : problem_.column.data();
  // Memory that is not written to costs nothing.
  const Scratch<T> predictions(ScratchUse::kPredictions, elements);
  const Scratch<T> targets(ScratchUse::kTargets, elements);
  const Scratch<int64_t> labels(ScratchUse::kLabels, count);
  const Scratch<T> gradient(ScratchUse::kGradient, elements);
  args.predictions =
      ReadElements(problem_.predictions, first, elements, predictions.data());
  if (kernel_.labels) {
    args.labels = ReadElements(problem_.targets, begin, count, labels.data());
  } else {
    args.targets =
        ReadElements(problem_.targets, first, elements, targets.data());
  }
  if (problem_.has_gradient()) {
    // In place, the predictions must survive until the block is accepted.
    args.gradient =
        problem_.in_place()
            ? gradient.data()
            : OutputElements(problem_.gradient, problem_.gradient_dtype, first,
                             gradient.data());
  }
  // What is still to be converted or moved is read again.
  args.stream = args.gradient != gradient.data() &&
                problem_.gradient.size() >= kStreamedBytes;
  size_t refused = RunKernel(kernel_, args);
  if (refused == count && problem_.has_gradient()) {
    const size_t written =
        WriteElements(problem_.gradient, problem_.gradient_dtype, first,
                      args.gradient, elements);
    refused = written / problem_.columns;
  }
  if (refused < count) {
    refused_[block] = begin + refused;
    return;
  }
  for (size_t i = 0; i < count; ++i) losses[i] *= weights[i];
  sums_[block] = LaneSum({losses, count});
  if (!problem_.row_losses.empty()) {
    WriteElements(problem_.row_losses, Dtype::kFloat64, begin, losses, count);
  }
}

std::optional<FieldViolation> RowwisePass::Violation() {
  if (refused_.empty()) return std::nullopt;
  const size_t row = *std::min_element(refused_.begin(), refused_.end());
  if (row == problem_.rows) return std::nullopt;
  const size_t columns = problem_.columns;
  std::vector<double> predictions(columns);
  std::vector<double> targets(kernel_.labels ? 0 : columns);
  std::optional<int64_t> label;
  for (size_t k = 0; k < columns; ++k) {
    predictions[k] = ReadElement(problem_.predictions, row * columns + k);
    if (kernel_.labels) continue;
    const size_t element = row * columns + k;
    targets[k] = ReadElement(problem_.targets, element);
    const Dtype dtype = problem_.targets.dtype;
    if (dtype == Dtype::kFloat32 || dtype == Dtype::kFloat64) continue;
    if (auto unreadable = ExplainRead(dtype, targets[k], problem_.in_double)) {
      return FieldViolation{"targets.data", static_cast<int64_t>(element),
                            ElementText(problem_.targets, element),
                            *std::move(unreadable)};
    }
  }
  if (kernel_.labels) {
    int64_t scratch = 0;
    label = *ReadElements(problem_.targets, row, 1, &scratch);
  }
  if (const auto offence =
          kernel_.explain(predictions, targets, label, problem_.column)) {
    return ViolationAt(problem_, row, *offence);
  }
  return OverflowAt(problem_, row * columns);
}

}  // namespace

std::unique_ptr<Pass> MakeRowwisePass(const Problem& problem,
                                      const RowWeights& weights) {
  return std::make_unique<RowwisePass>(problem, weights);
}

}  // namespace lossd
