#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/core/convert.h"
#include "lib/core/pass.h"
#include "lib/core/sum.h"

namespace lossd {
namespace {

// What a block works in; it stays in the L2 cache, on the stack of the thread.
template <class T>
struct BlockMemory {
  alignas(64) T predictions[kBlockElements];
  alignas(64) T targets[kBlockElements];
  alignas(64) T gradient[kBlockElements];
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
        kernel_(std::get<ElementwiseKernel>(problem.kernel)),
        elements_(problem.rows * problem.columns),
        sums_((elements_ + kBlockElements - 1) / kBlockElements) {
    if (!problem.row_losses.empty() && problem.columns > 1) {
      first_.resize(sums_.size());
      last_.resize(sums_.size());
    }
    refused_.resize(sums_.size());
  }

  size_t blocks() const override { return sums_.size(); }

  void RunBlock(size_t block) override {
    const size_t begin = block * kBlockElements;
    const size_t count = std::min(kBlockElements, elements_ - begin);
    const ElementwiseSum sum = problem_.in_double
                                   ? Run<double>(begin, count, block)
                                   : Run<float>(begin, count, block);
    sums_[block] = sum.sum;
    refused_[block] = sum.refused ? 1 : 0;
  }

  std::optional<FieldViolation> Violation() override;
  double Finish() override;

 private:
  template <class T>
  ElementwiseSum Run(size_t begin, size_t count, std::optional<size_t> block);
  template <class T>
  void SpreadRows(size_t begin, size_t count, BlockMemory<T>& memory) const;
  void StoreRowLosses(size_t begin, size_t count, const double* values,
                      size_t block);
  void StoreRowLoss(size_t row, double sum_of_elements);
  FieldViolation Explain(size_t element) const;

  const Problem& problem_;
  const RowWeights& weights_;
  const ElementwiseKernel& kernel_;
  const size_t elements_;
  std::vector<double> sums_;
  std::vector<uint8_t> refused_;
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

// Without a block only the kernel is run: nothing is written.
template <class T>
ElementwiseSum ElementwisePass::Run(size_t begin, size_t count,
                                    std::optional<size_t> block) {
  BlockMemory<T> memory;
  ElementwiseArgs<T> args;
  args.predictions =
      ReadElements(problem_.predictions, begin, count, memory.predictions);
  args.targets = ReadElements(problem_.targets, begin, count, memory.targets);
  args.count = count;
  if (weights_.uniform()) {
    args.scale = static_cast<T>(weights_.uniform_scale());
  } else {
    SpreadRows(begin, count, memory);
    args.scales = memory.scales;
    args.weights = memory.weights;
    args.active = memory.active;
  }
  if (!problem_.column.empty()) {
    size_t k = begin % problem_.columns;
    for (size_t i = 0; i < count; ++i) {
      memory.column[i] = static_cast<T>(problem_.column[k]);
      if (++k == problem_.columns) k = 0;
    }
    args.column = memory.column;
  }
  if (problem_.has_gradient()) {
    // In place, the predictions must survive until the block is accepted.
    args.gradient =
        problem_.in_place() || !block
            ? memory.gradient
            : OutputElements(problem_.gradient, problem_.gradient_dtype, begin,
                             memory.gradient);
  }
  // What is still to be converted or moved is read again.
  args.stream = args.gradient != memory.gradient &&
                problem_.gradient.size() >= kStreamedBytes;
  const bool row_losses = !problem_.row_losses.empty() && block;
  if (row_losses) args.values = memory.values;

  ElementwiseSum sum = RunKernel(kernel_, args);
  if (!block && problem_.gradient_dtype == Dtype::kFloat32) {
    for (size_t i = 0; i < count && args.gradient != nullptr; ++i) {
      sum.refused |= !std::isfinite(static_cast<float>(args.gradient[i]));
    }
  }
  if (!block || sum.refused) return sum;
  if (problem_.has_gradient()) {
    sum.refused = WriteElements(problem_.gradient, problem_.gradient_dtype,
                                begin, args.gradient, count) < count;
  }
  if (row_losses) StoreRowLosses(begin, count, memory.values, *block);
  return sum;
}

void ElementwisePass::StoreRowLosses(size_t begin, size_t count,
                                     const double* values, size_t block) {
  const size_t columns = problem_.columns;
  const size_t end = begin + count;
  for (size_t at = begin; at < end;) {
    const size_t row = at / columns;
    const size_t row_end = (row + 1) * columns;
    const size_t part_end = std::min(row_end, end);
    const double sum = columns == 1
                           ? values[at - begin]
                           : LaneSum({values + (at - begin), part_end - at});
    if (at > row * columns) {
      first_[block] = sum;
    } else if (row_end > end) {
      last_[block] = sum;
    } else {
      StoreRowLoss(row, sum);
    }
    at = part_end;
  }
}

void ElementwisePass::StoreRowLoss(size_t row, double sum_of_elements) {
  double weight = 1;
  double scale = 0;
  uint8_t active = 1;
  if (!weights_.uniform()) weights_.Fill(row, 1, &weight, &scale, &active);
  const double loss =
      active
          ? weight * (sum_of_elements / static_cast<double>(problem_.columns))
          : 0;
  WriteElements(problem_.row_losses, Dtype::kFloat64, row, &loss, 1);
}

double ElementwisePass::Finish() {
  const size_t columns = problem_.columns;
  for (size_t block = 0; block < last_.size(); ++block) {
    const size_t end = (block + 1) * kBlockElements;
    const size_t row = (end - 1) / columns;
    const bool begins_here = row * columns >= block * kBlockElements;
    if (end >= elements_ || end % columns == 0 || !begins_here) continue;
    double sum = last_[block];
    const size_t last_block = ((row + 1) * columns - 1) / kBlockElements;
    for (size_t next = block + 1; next <= last_block; ++next) {
      sum += first_[next];
    }
    StoreRowLoss(row, sum);
  }
  return TreeSum(sums_) / static_cast<double>(columns);
}

std::optional<FieldViolation> ElementwisePass::Violation() {
  const auto block = std::find(refused_.begin(), refused_.end(), 1);
  if (block == refused_.end()) return std::nullopt;
  const size_t begin =
      static_cast<size_t>(block - refused_.begin()) * kBlockElements;
  const size_t end = std::min(begin + kBlockElements, elements_);
  for (size_t element = begin; element < end; ++element) {
    const ElementwiseSum sum = problem_.in_double
                                   ? Run<double>(element, 1, std::nullopt)
                                   : Run<float>(element, 1, std::nullopt);
    if (sum.refused) return Explain(element);
  }
  return OverflowAt(problem_, begin);
}

FieldViolation ElementwisePass::Explain(size_t element) const {
  const size_t row = element / problem_.columns;
  const double prediction = ReadElement(problem_.predictions, element);
  const double target = ReadElement(problem_.targets, element);
  Offence offence{Offence::Tensor::kPredictions, element % problem_.columns, "",
                  "finite numbers"};
  if (!std::isfinite(prediction)) {
    offence.got = NumberText(prediction);
    return ViolationAt(problem_, row, offence);
  }
  if (auto unreadable =
          ExplainRead(problem_.targets.dtype, target, problem_.in_double)) {
    offence.tensor = Offence::Tensor::kTargets;
    offence.got = ElementText(problem_.targets, element);
    offence.allowed = *unreadable;
    return ViolationAt(problem_, row, offence);
  }
  if (auto found = kernel_.explain(prediction, target)) {
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
