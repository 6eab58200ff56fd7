#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "lib/core/convert.h"
#include "lib/core/pass.h"
#include "lib/core/scratch.h"
#include "lib/core/sum.h"

namespace lossd {
namespace {

// What a block works in; it stays in the L2 cache, on the stack of the thread.
template <class T>
struct BlockMemory {
  alignas(64) T predictions[kBlockElements];
  alignas(64) T targets[kBlockElements];
  alignas(64) T scales[kBlockElements];
  alignas(64) T active[kBlockElements];
  alignas(64) T column[kBlockElements];
  alignas(64) double weights[kBlockElements];
  alignas(64) double values[kBlockElements];
  alignas(64) double row_weights[kBlockElements];
  alignas(64) double row_scales[kBlockElements];
  alignas(64) uint8_t row_active[kBlockElements];
};

template <class T>
ElementwiseSum RunKernel(const ElementwiseKernel& kernel,
                         const ElementwiseArgs<T>& args) {
  if constexpr (std::is_same_v<T, float>) {
    return kernel.run_float(args);
  } else {
    return kernel.run_double(args);
  }
}

class ElementwisePass final : public Pass {
 public:
  ElementwisePass(const Problem& problem, const RowWeights& weights)
      : problem_(problem),
        weights_(weights),
        kernel_(std::get<ElementwiseKernel>(problem.kernel.engine)),
        elements_(problem.rows * problem.columns),
        blocks_((elements_ + kBlockElements - 1) / kBlockElements),
        diagnostics_(problem) {}

  size_t blocks() const override { return blocks_; }

  void MakeRoom(size_t end) override {
    sums_.resize(end);
    clipped_.resize(end);
    refused_.resize(end);
    diagnostics_.MakeRoom(end);
    if (!problem_.wants_row_losses || problem_.columns == 1) return;
    first_.resize(end);
    last_.resize(end);
  }

  void RunBlock(size_t block) override {
    const size_t begin = block * kBlockElements;
    const size_t count = std::min(kBlockElements, elements_ - begin);
    const ElementwiseSum sum = problem_.in_double
                                   ? Run<double>(begin, count, block)
                                   : Run<float>(begin, count, block);
    sums_[block] = sum.sum;
    clipped_[block] = sum.clipped;
    refused_[block] = sum.refused ? 1 : 0;
  }

  std::optional<FieldViolation> Violation(size_t begin, size_t end) override;
  void CompleteRows(size_t begin, size_t end) override;
  PassTotals Finish() override;

 private:
  template <class T>
  ElementwiseSum Run(size_t begin, size_t count, std::optional<size_t> block);
  template <class T>
  void Load(size_t begin, BlockMemory<T>& memory,
            ElementwiseArgs<T>& args) const;
  template <class T>
  void SpreadRows(size_t begin, size_t count, BlockMemory<T>& memory) const;
  bool StoreGradients(size_t begin, size_t count, const auto& gradients) const;
  template <class T>
  void StoreRowLosses(size_t begin, size_t count, const BlockMemory<T>& memory,
                      size_t block);
  void StoreRowLoss(size_t row, bool active, double weight,
                    double sum_of_elements);
  FieldViolation Explain(size_t element) const;

  const Problem& problem_;
  const RowWeights& weights_;
  const ElementwiseKernel& kernel_;
  const size_t elements_;
  const size_t blocks_;
  std::vector<double> sums_;
  std::vector<int64_t> clipped_;
  std::vector<uint8_t> refused_;
  Diagnostics diagnostics_;
  // Row sums of the part of a row that the block shares with the blocks before
  // it, and with those after it.
  std::vector<double> first_;
  std::vector<double> last_;
};

template <class T>
void ElementwisePass::SpreadRows(size_t begin, size_t count,
                                 BlockMemory<T>& memory) const {
  const size_t columns = problem_.columns;
  const size_t first_row = begin / columns;
  const size_t rows = (begin + count - 1) / columns - first_row + 1;
  weights_.Fill(first_row, rows, memory.row_weights, memory.row_scales,
                memory.row_active);
  size_t i = 0;
  for (size_t row = 0; row < rows; ++row) {
    const size_t end = std::min(count, (first_row + row + 1) * columns - begin);
    for (; i < end; ++i) {
      memory.scales[i] = static_cast<T>(memory.row_scales[row]);
      memory.weights[i] = memory.row_weights[row];
      memory.active[i] = memory.row_active[row];
    }
  }
}

// Everything that a block reads.
template <class T>
void ElementwisePass::Load(size_t begin, BlockMemory<T>& memory,
                           ElementwiseArgs<T>& args) const {
  const size_t count = args.count;
  args.propagate = problem_.propagate();
  args.predictions =
      ReadElements(problem_.predictions, begin, count, memory.predictions);
  if (problem_.traits().targets != TargetsRole::kNone) {
    args.targets = ReadElements(problem_.targets, begin, count, memory.targets);
  }
  for (size_t k = 0; k < problem_.traits().extras.size(); ++k) {
    if (!problem_.extras[k]) continue;
    const Scratch<T> extra(NthUse(ScratchUse::kExtras, k), count);
    args.extras[k] =
        ReadElements(*problem_.extras[k], begin, count, extra.data());
  }
  if (weights_.uniform()) {
    args.scale = static_cast<T>(weights_.uniform_scale());
  } else {
    SpreadRows(begin, count, memory);
    args.scales = memory.scales;
    args.weights = memory.weights;
    args.active = memory.active;
  }
  if (problem_.column.empty()) return;
  size_t k = begin % problem_.last_axis;
  for (size_t i = 0; i < count; ++i) {
    memory.column[i] = static_cast<T>(problem_.column[k]);
    if (++k == problem_.last_axis) k = 0;
  }
  args.column = memory.column;
}

// False if a gradient does not fit its dtype.
bool ElementwisePass::StoreGradients(size_t begin, size_t count,
                                     const auto& gradients) const {
  for (size_t k = 0; k < kMaxGradients; ++k) {
    const OutputRun& output = problem_.gradients[k];
    if (output.data.empty()) continue;
    if (WriteElements(output.data, output.dtype, begin - output.first,
                      gradients[k], count, !problem_.propagate()) < count) {
      return false;
    }
  }
  return true;
}

// Without a block only the kernel is run: nothing is written.
template <class T>
ElementwiseSum ElementwisePass::Run(size_t begin, size_t count,
                                    std::optional<size_t> block) {
  BlockMemory<T> memory;
  ElementwiseArgs<T> args;
  args.count = count;
  Load(begin, memory, args);
  for (size_t k = 0; k < kMaxGradients; ++k) {
    const OutputRun& output = problem_.gradients[k];
    if (output.data.empty()) continue;
    const Scratch<T> own(NthUse(ScratchUse::kGradients, k), count);
    // In place, the predictions must survive until the block is accepted.
    args.gradients[k] = problem_.in_place() || !block
                            ? own.data()
                            : OutputElements(output.data, output.dtype,
                                             begin - output.first, own.data());
    // What is still to be converted or moved is read again.
    if (k == 0) {
      args.stream = output.data.size() >= kStreamedBytes &&
                    args.gradients[0] != own.data();
    }
  }
  const bool row_losses = problem_.wants_row_losses && block;
  if (row_losses) args.values = memory.values;
  const bool diagnostics = diagnostics_.wanted() && block;
  if (diagnostics) args.diagnostics = diagnostics_.Figures(*block);

  ElementwiseSum sum = RunKernel(kernel_, args);
  if (!block) {
    std::byte unused[sizeof(double)];
    for (size_t k = 0; k < kMaxGradients; ++k) {
      const OutputRun& output = problem_.gradients[k];
      for (size_t i = 0; i < count && !output.data.empty(); ++i) {
        sum.refused |= WriteElements<T>(unused, output.dtype, 0,
                                        args.gradients[k] + i, 1) == 0;
      }
    }
    return sum;
  }
  if (problem_.propagate()) sum.refused = false;
  if (sum.refused) return sum;
  if (diagnostics) {
    diagnostics_.Observe(*block, count, 1, args.predictions, args.gradients[0],
                         nullptr, args.active);
  }
  sum.refused = !StoreGradients(begin, count, args.gradients);
  if (row_losses) StoreRowLosses(begin, count, memory, *block);
  return sum;
}

template <class T>
void ElementwisePass::StoreRowLosses(size_t begin, size_t count,
                                     const BlockMemory<T>& memory,
                                     size_t block) {
  const size_t columns = problem_.columns;
  const size_t first_row = begin / columns;
  const size_t end = begin + count;
  for (size_t at = begin; at < end;) {
    const size_t row = at / columns;
    const size_t row_end = (row + 1) * columns;
    const size_t part_end = std::min(row_end, end);
    const double* values = memory.values + (at - begin);
    const double sum =
        columns == 1 ? *values : LaneSum({values, part_end - at});
    if (at > row * columns) {
      first_[block] = sum;
    } else if (row_end > end) {
      last_[block] = sum;
    } else if (weights_.uniform()) {
      StoreRowLoss(row, true, 1, sum);
    } else {
      StoreRowLoss(row, memory.row_active[row - first_row] != 0,
                   memory.row_weights[row - first_row], sum);
    }
    at = part_end;
  }
}

void ElementwisePass::StoreRowLoss(size_t row, bool active, double weight,
                                   double sum_of_elements) {
  const double loss =
      active ? weight * (sum_of_elements / problem_.elements_per_mean()) : 0;
  const OutputRun& output = problem_.row_losses;
  WriteElements(output.data, output.dtype, row - output.first, &loss, 1, false);
}

// Each block ends at most one row that began before it.
void ElementwisePass::CompleteRows(size_t begin, size_t end) {
  const size_t columns = problem_.columns;
  for (size_t block = begin; block < std::min(end, first_.size()); ++block) {
    const size_t begin_element = block * kBlockElements;
    const size_t end_element =
        std::min(begin_element + kBlockElements, elements_);
    const size_t row = begin_element / columns;
    if (begin_element == row * columns || (row + 1) * columns > end_element) {
      continue;
    }
    const size_t first_block = row * columns / kBlockElements;
    double sum = last_[first_block];
    for (size_t next = first_block + 1; next <= block; ++next) {
      sum += first_[next];
    }
    double weight = 1;
    double scale = 0;
    uint8_t active = 1;
    weights_.Fill(row, 1, &weight, &scale, &active);
    StoreRowLoss(row, active != 0, weight, sum);
  }
}

PassTotals ElementwisePass::Finish() {
  const size_t columns = problem_.columns;
  PassTotals totals;
  totals.loss_sum = TreeSum(sums_) / problem_.elements_per_mean();
  totals.clipped_count =
      std::accumulate(clipped_.begin(), clipped_.end(), int64_t{0});
  const double counted =
      static_cast<double>(weights_.row_count()) * static_cast<double>(columns);
  totals.diagnostics = diagnostics_.Finish(counted, totals.clipped_count);
  totals.warnings = diagnostics_.Warnings(counted);
  return totals;
}

std::optional<FieldViolation> ElementwisePass::Violation(size_t begin,
                                                         size_t end) {
  const auto blocks = std::span(refused_).first(end);
  const auto block = std::find(
      blocks.begin() + static_cast<std::ptrdiff_t>(begin), blocks.end(), 1);
  if (block == blocks.end()) return std::nullopt;
  const size_t first =
      static_cast<size_t>(block - blocks.begin()) * kBlockElements;
  const size_t last = std::min(first + kBlockElements, elements_);
  for (size_t element = first; element < last; ++element) {
    const ElementwiseSum sum = problem_.in_double
                                   ? Run<double>(element, 1, std::nullopt)
                                   : Run<float>(element, 1, std::nullopt);
    if (sum.refused) return Explain(element);
  }
  return OverflowAt(problem_, first);
}

FieldViolation ElementwisePass::Explain(size_t element) const {
  const size_t row = element / problem_.columns;
  const bool has_targets = problem_.traits().targets != TargetsRole::kNone;
  const double prediction = ReadElement(problem_.predictions, element);
  const double target =
      has_targets ? ReadElement(problem_.targets, element) : 0;
  Offence offence{Offence::Tensor::kPredictions, element % problem_.columns, "",
                  "finite numbers"};
  if (!std::isfinite(prediction)) {
    offence.got = NumberText(prediction);
    return ViolationAt(problem_, row, offence);
  }
  const auto unreadable = has_targets ? ExplainRead(problem_.targets.dtype,
                                                    target, problem_.in_double)
                                      : std::nullopt;
  if (unreadable) {
    offence.tensor = Offence::Tensor::kTargets;
    offence.got = ElementText(problem_.targets, element);
    offence.allowed = *unreadable;
    return ViolationAt(problem_, row, offence);
  }
  std::vector<double> extras;
  for (size_t k = 0; k < problem_.traits().extras.size(); ++k) {
    if (!problem_.extras[k]) {
      extras.push_back(0);
      continue;
    }
    if (auto found = UnreadableExtra(problem_, k, element)) return *found;
    extras.push_back(ReadElement(*problem_.extras[k], element));
  }
  if (auto found = kernel_.explain(prediction, target, extras)) {
    found->column = offence.column;
    return ViolationAt(problem_, row, *found);
  }
  return OverflowAt(problem_, element);
}

}  // namespace

std::unique_ptr<Pass> MakeElementwisePass(const Problem& problem,
                                          const RowWeights& weights) {
  return std::make_unique<ElementwisePass>(problem, weights);
}

}  // namespace lossd
