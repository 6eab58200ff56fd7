#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lib/core/convert.h"
#include "lib/core/pass.h"
#include "lib/core/scratch.h"
#include "lib/core/sum.h"

namespace lossd {
namespace {

template <class T>
RowwiseOutcome RunKernel(const RowwiseKernel& kernel,
                         const RowwiseArgs<T>& args) {
  if constexpr (std::is_same_v<T, float>) {
    return kernel.run_float(args);
  } else {
    return kernel.run_double(args);
  }
}

void ReadInto(const TensorView& tensor, size_t index, int64_t* number) {
  *number = *ReadElements(tensor, index, 1, number);
}

class RowwisePass final : public Pass {
 public:
  RowwisePass(const Problem& problem, const RowWeights& weights)
      : problem_(problem),
        weights_(weights),
        kernel_(std::get<RowwiseKernel>(problem.kernel.engine)),
        rows_per_block_(RowsPerBlock(problem.columns)),
        blocks_((problem.rows + rows_per_block_ - 1) / rows_per_block_),
        diagnostics_(problem) {}

  size_t blocks() const override { return blocks_; }

  void MakeRoom(size_t end) override {
    sums_.resize(end);
    clipped_.resize(end);
    refused_.resize(end, problem_.rows);
    diagnostics_.MakeRoom(end);
  }

  void RunBlock(size_t block) override {
    const size_t begin = block * rows_per_block_;
    const size_t count = std::min(rows_per_block_, problem_.rows - begin);
    if (problem_.in_double) {
      Run<double>(begin, count, block);
    } else {
      Run<float>(begin, count, block);
    }
  }

  std::optional<FieldViolation> Violation(size_t begin, size_t end) override;

  PassTotals Finish() override;

 private:
  template <class T>
  void Run(size_t begin, size_t count, size_t block);
  std::optional<FieldViolation> UnreadableTarget(size_t row) const;
  void CombineFigures(const std::vector<double>& figures, size_t rows,
                      size_t block);

  const Problem& problem_;
  const RowWeights& weights_;
  const RowwiseKernel& kernel_;
  const size_t rows_per_block_;
  const size_t blocks_;
  std::vector<double> sums_;
  std::vector<int64_t> clipped_;
  // First refused row of each block; the number of rows if there is none.
  std::vector<size_t> refused_;
  Diagnostics diagnostics_;
};

// What a block's memory is read into, one object a tensor.
template <class T>
struct RowMemory {
  RowMemory(const Problem& problem, size_t rows)
      : predictions(ScratchUse::kPredictions, rows * problem.columns),
        targets(ScratchUse::kTargets, rows * problem.targets_per_row),
        labels(ScratchUse::kLabels,
               rows * std::max<size_t>(problem.targets_per_row, 1)) {
    // Memory that is not written to costs nothing.
    for (size_t k = 0; k < problem.traits().extras.size(); ++k) {
      extras[k].emplace(NthUse(ScratchUse::kExtras, k),
                        rows * problem.ExtraPerRow(k));
    }
    for (size_t k = 0; k < kMaxGradients; ++k) {
      if (problem.gradients[k].data.empty()) continue;
      gradients[k].emplace(NthUse(ScratchUse::kGradients, k),
                           rows * problem.columns);
    }
  }

  Scratch<T> predictions;
  Scratch<T> targets;
  Scratch<int64_t> labels;
  std::array<std::optional<Scratch<T>>, kMaxExtras> extras;
  std::array<std::optional<Scratch<T>>, kMaxGradients> gradients;
};

// Everything that a block reads.
template <class T>
void Load(const Problem& problem, size_t begin, const RowMemory<T>& memory,
          RowwiseArgs<T>& args) {
  const size_t count = args.rows;
  const size_t columns = problem.columns;
  args.columns = columns;
  args.propagate = problem.propagate();
  args.half_predictions = IsHalf(problem.predictions.dtype);
  args.column = problem.column.empty() ? nullptr : problem.column.data();
  args.predictions = ReadElements(problem.predictions, begin * columns,
                                  count * columns, memory.predictions.data());
  const size_t per_row = problem.targets_per_row;
  args.targets_per_row = per_row;
  if (problem.traits().targets == TargetsRole::kLabels) {
    args.labels =
        ReadElements(problem.targets, begin, count, memory.labels.data());
  } else if (problem.traits().targets != TargetsRole::kNone) {
    args.targets = ReadElements(problem.targets, begin * per_row,
                                count * per_row, memory.targets.data());
  }
  if (problem.target_indices) {
    args.indices = ReadElements(*problem.target_indices, begin * per_row,
                                count * per_row, memory.labels.data());
  }
  for (size_t k = 0; k < problem.traits().extras.size(); ++k) {
    if (!problem.extras[k]) continue;
    const size_t size = problem.ExtraPerRow(k);
    args.extras[k] = ReadElements(*problem.extras[k], begin * size,
                                  count * size, memory.extras[k]->data());
  }
}

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
  args.scales = scales;
  args.active = active;
  args.row_losses = losses;
  const RowMemory<T> memory(problem_, count);
  Load(problem_, begin, memory, args);
  for (size_t k = 0; k < kMaxGradients; ++k) {
    const OutputRun& output = problem_.gradients[k];
    if (output.data.empty()) continue;
    // In place, the predictions must survive until the block is accepted.
    T* const own = memory.gradients[k]->data();
    args.gradients[k] = problem_.in_place()
                            ? own
                            : OutputElements(output.data, output.dtype,
                                             first - output.first, own);
  }
  std::vector<double> figures;
  if (diagnostics_.wanted()) {
    figures.resize(count * problem_.traits().diagnostics.size());
    args.diagnostics = figures.data();
  }
  // What is still to be converted or moved is read again.
  args.stream = problem_.gradients[0].data.size() >= kStreamedBytes &&
                args.gradients[0] != memory.gradients[0]->data();
  const RowwiseOutcome outcome = RunKernel(kernel_, args);
  size_t refused = outcome.refused;
  // What the kernel saw, before predictions are overwritten.
  if (diagnostics_.wanted() && refused == count) {
    CombineFigures(figures, count, block);
    diagnostics_.Observe(block, count, problem_.columns, args.predictions,
                         args.gradients[0], args.labels, active);
  }
  for (size_t k = 0; k < kMaxGradients && refused == count; ++k) {
    const OutputRun& output = problem_.gradients[k];
    if (output.data.empty()) continue;
    const size_t written =
        WriteElements(output.data, output.dtype, first - output.first,
                      args.gradients[k], elements, !problem_.propagate());
    refused = written / problem_.columns;
  }
  if (refused < count) {
    refused_[block] = begin + refused;
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    if (active[i] != 0) losses[i] *= weights[i];
  }
  clipped_[block] = outcome.clipped;
  sums_[block] = LaneSum({losses, count});
  if (problem_.wants_row_losses) {
    const OutputRun& output = problem_.row_losses;
    WriteElements(output.data, output.dtype, begin - output.first, losses,
                  count, false);
  }
}

void RowwisePass::CombineFigures(const std::vector<double>& figures,
                                 size_t rows, size_t block) {
  const auto& infos = problem_.traits().diagnostics;
  for (size_t k = 0; k < infos.size(); ++k) {
    const auto numbers = std::span(figures).subspan(k * rows, rows);
    diagnostics_.Figures(block)[k] =
        infos[k].combine == DiagnosticInfo::Combine::kMax
            ? *std::ranges::max_element(numbers)
            : LaneSum(numbers);
  }
}

PassTotals RowwisePass::Finish() {
  PassTotals totals;
  totals.loss_sum = TreeSum(sums_);
  totals.clipped_count =
      std::accumulate(clipped_.begin(), clipped_.end(), int64_t{0});
  const auto counted = static_cast<double>(weights_.row_count());
  totals.diagnostics = diagnostics_.Finish(counted, totals.clipped_count);
  totals.warnings = diagnostics_.Warnings(counted);
  return totals;
}

std::optional<FieldViolation> RowwisePass::Violation(size_t begin, size_t end) {
  if (begin == end) return std::nullopt;
  const size_t row = *std::ranges::min_element(
      std::span(refused_).subspan(begin, end - begin));
  if (row == problem_.rows) return std::nullopt;
  const size_t columns = problem_.columns;
  if (auto found = UnreadableTarget(row)) return found;
  std::vector<std::vector<double>> kept;
  const auto read = [&](const TensorView& tensor, size_t per_row) {
    std::vector<double>& numbers = kept.emplace_back(per_row);
    for (size_t k = 0; k < per_row; ++k) {
      numbers[k] = ReadElement(tensor, row * per_row + k);
    }
    return std::span<const double>(numbers);
  };
  RowView view;
  view.column = problem_.column;
  view.half_predictions = IsHalf(problem_.predictions.dtype);
  view.predictions = read(problem_.predictions, columns);
  std::vector<int64_t> indices(
      problem_.target_indices ? problem_.targets_per_row : 0);
  for (size_t k = 0; k < indices.size(); ++k) {
    ReadInto(*problem_.target_indices, row * indices.size() + k, &indices[k]);
  }
  view.indices = indices;
  if (problem_.traits().targets == TargetsRole::kLabels) {
    ReadInto(problem_.targets, row, &view.label.emplace());
  } else if (problem_.traits().targets != TargetsRole::kNone) {
    view.targets = read(problem_.targets, problem_.targets_per_row);
  }
  for (size_t k = 0; k < problem_.traits().extras.size(); ++k) {
    if (!problem_.extras[k]) continue;
    const size_t size = problem_.ExtraPerRow(k);
    for (size_t i = row * size; i < (row + 1) * size; ++i) {
      if (auto found = UnreadableExtra(problem_, k, i)) return found;
    }
    view.extras[k] = read(*problem_.extras[k], size);
  }
  if (const auto offence = kernel_.explain(view)) {
    return ViolationAt(problem_, row, *offence);
  }
  return OverflowAt(problem_, row * columns);
}

// A target that is no number of the computation's type. Logarithms and the
// like may be infinite, so floats are for the loss to judge.
std::optional<FieldViolation> RowwisePass::UnreadableTarget(size_t row) const {
  const Dtype dtype = problem_.targets.dtype;
  if (problem_.traits().targets == TargetsRole::kLabels ||
      (dtype != Dtype::kInt32 && dtype != Dtype::kInt64 &&
       dtype != Dtype::kBool)) {
    return std::nullopt;
  }
  const size_t per_row = problem_.targets_per_row;
  for (size_t i = row * per_row; i < (row + 1) * per_row; ++i) {
    if (auto unreadable = ExplainRead(dtype, ReadElement(problem_.targets, i),
                                      problem_.in_double)) {
      return FieldViolation{"targets.data", static_cast<int64_t>(i),
                            ElementText(problem_.targets, i),
                            *std::move(unreadable)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Pass> MakeRowwisePass(const Problem& problem,
                                      const RowWeights& weights) {
  return std::make_unique<RowwisePass>(problem, weights);
}

}  // namespace lossd
