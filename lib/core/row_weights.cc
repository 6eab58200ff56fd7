#include "lib/core/row_weights.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "lib/core/convert.h"
#include "lib/core/scratch.h"
#include "lib/core/sum.h"
#include "lib/kernels/indexed_targets.h"

namespace lossd {

// Read at once: to look for the place of every row among the pieces of a tensor
// would take longer than the loss.
class RowWeights::Rows {
 public:
  Rows(const Problem& problem, bool labels, size_t begin, size_t count)
      : begin_(begin), upstream_of_all_(problem.upstream) {
    if (problem.mask) {
      mask_memory_.emplace(ScratchUse::kRowMask, count);
      mask_ = problem.mask->data.Read(begin, count, mask_memory_->data());
    }
    if (labels) {
      labels_memory_.emplace(ScratchUse::kRowLabels, count);
      labels_ =
          ReadElements(problem.targets, begin, count, labels_memory_->data());
    }
    if (problem.sample_weights) {
      weights_memory_.emplace(ScratchUse::kRowWeights, count);
      weights_ = ReadElements(*problem.sample_weights, begin, count,
                              weights_memory_->data());
    }
    if (problem.upstream_rows) {
      upstream_memory_.emplace(ScratchUse::kRowUpstream, count);
      upstream_ = ReadElements(*problem.upstream_rows, begin, count,
                               upstream_memory_->data());
    }
  }

  // Of the row at place i of the run.
  size_t row(size_t i) const { return begin_ + i; }
  uint8_t mask(size_t i) const {
    return mask_ != nullptr ? std::to_integer<uint8_t>(mask_[i]) : 1;
  }
  int64_t label(size_t i) const { return labels_[i]; }
  double weight(size_t i) const {
    return weights_ != nullptr ? weights_[i] : 1;
  }
  double upstream(size_t i) const {
    return upstream_ != nullptr ? upstream_[i] : upstream_of_all_;
  }

 private:
  const size_t begin_;
  const double upstream_of_all_;
  std::optional<Scratch<std::byte>> mask_memory_;
  std::optional<Scratch<int64_t>> labels_memory_;
  std::optional<Scratch<double>> weights_memory_;
  std::optional<Scratch<double>> upstream_memory_;
  const std::byte* mask_ = nullptr;
  const int64_t* labels_ = nullptr;
  const double* weights_ = nullptr;
  const double* upstream_ = nullptr;
};

RowWeights::RowWeights(const Problem& problem) : problem_(problem) {
  const LossTraits& traits = problem.traits();
  has_class_weights_ = problem.rowwise() != nullptr && !problem.column.empty();
  uniform_ = !problem.sample_weights && !problem.mask &&
             !problem.upstream_rows && !traits.ignore_index &&
             !has_class_weights_;
  // Where every class weight meets its target, a row costs all its columns.
  const bool dense =
      has_class_weights_ && traits.targets == TargetsRole::kDense;
  rows_per_block_ = dense ? RowsPerBlock(problem.columns) : kBlockElements;
  if (!uniform_) {
    blocks_ = (problem.rows + rows_per_block_ - 1) / rows_per_block_;
  }
}

double RowWeights::WeightOfClass(int64_t label) const {
  const bool known =
      label >= 0 && static_cast<uint64_t>(label) < problem_.columns;
  // The second phase refuses the others.
  return known ? problem_.column[static_cast<size_t>(label)] : 0;
}

double RowWeights::ClassWeight(const Rows& rows, size_t i) const {
  if (!has_class_weights_) return 1;
  if (problem_.traits().targets == TargetsRole::kLabels) {
    return WeightOfClass(rows.label(i));
  }
  return ClassWeightOfTargets(rows.row(i));
}

double RowWeights::ClassWeightOfTargets(size_t row) const {
  const size_t count = problem_.targets_per_row;
  const size_t columns = problem_.columns;
  const Scratch<double> memory(ScratchUse::kTargets, count);
  const Scratch<double> products(ScratchUse::kKernel, columns);
  const double* targets =
      ReadElements(problem_.targets, row * count, count, memory.data());
  if (problem_.target_indices) {
    const Scratch<int64_t> indices(ScratchUse::kLabels, count);
    // The second phase refuses the others.
    if (!ScatterTargets(*problem_.traits().tail_policy, targets,
                        ReadElements(*problem_.target_indices, row * count,
                                     count, indices.data()),
                        count, columns, products.data())) {
      return 0;
    }
    targets = products.data();
  }
  for (size_t k = 0; k < columns; ++k) {
    products.data()[k] = problem_.column[k] * targets[k];
  }
  return LaneSum({products.data(), columns});
}

std::optional<FieldViolation> RowWeights::CheckRow(const Rows& rows,
                                                   size_t i) const {
  const auto index = static_cast<int64_t>(rows.row(i));
  const double weight = rows.weight(i);
  if (!std::isfinite(weight)) {
    return FieldViolation{"sample_weights.data", index, NumberText(weight),
                          "finite numbers"};
  }
  if (weight < 0 && problem_.reduction == Reduction::kWeightedMean) {
    return FieldViolation{"sample_weights.data", index, NumberText(weight),
                          ">= 0 with the reduction WEIGHTED_MEAN"};
  }
  if (!std::isfinite(rows.upstream(i))) {
    return FieldViolation{"upstream_gradient.data", index,
                          NumberText(rows.upstream(i)), "finite numbers"};
  }
  return std::nullopt;
}

void RowWeights::RunBlock(size_t block) {
  const size_t begin = block * rows_per_block_;
  const size_t count = std::min(rows_per_block_, problem_.rows - begin);
  const std::optional<int64_t>& ignored = problem_.traits().ignore_index;
  // Others may not have come yet.
  const bool labels =
      ignored ||
      (has_class_weights_ && problem_.traits().targets == TargetsRole::kLabels);
  const Rows rows(problem_, labels, begin, count);
  Partial& partial = partials_[block];
  std::array<double, kBlockElements> weights;
  for (size_t i = 0; i < count; ++i) {
    weights[i] = 0;
    if (rows.mask(i) > 1) {
      partial.violation =
          FieldViolation{"mask.data", static_cast<int64_t>(rows.row(i)),
                         std::to_string(rows.mask(i)), "0 or 1"};
      return;
    }
    if (rows.mask(i) == 0) {
      ++partial.masked;
    } else if (ignored && rows.label(i) == *ignored) {
      ++partial.ignored;
    } else {
      partial.violation = CheckRow(rows, i);
      if (partial.violation) return;
      const double weight = rows.weight(i);
      weights[i] = weight * ClassWeight(rows, i);
      const double factor = std::abs(weight * rows.upstream(i));
      if (factor > 0) {
        partial.smallest = std::min(partial.smallest, factor);
        partial.largest = std::max(partial.largest, factor);
      }
    }
  }
  partial.weight_sum = LaneSum(std::span(weights).first(count));
}

absl::Status RowWeights::Check(size_t begin, size_t end) const {
  for (const Partial& partial :
       std::span(partials_).subspan(begin, end - begin)) {
    if (partial.violation) return InvalidField(*partial.violation);
  }
  return absl::OkStatus();
}

bool RowWeights::FinishLater() {
  const bool counts_rows = problem_.reduction == Reduction::kMean &&
                           !problem_.normalizer &&
                           (problem_.mask || problem_.traits().ignore_index);
  const bool known =
      !counts_rows && problem_.reduction != Reduction::kWeightedMean;
  row_count_ = static_cast<int64_t>(problem_.rows);
  normalizer_ = known ? Normalizer() : 1;
  return known;
}

void RowWeights::Finish() {
  std::vector<double> sums;
  sums.reserve(partials_.size());
  for (const Partial& partial : partials_) {
    sums.push_back(partial.weight_sum);
    masked_count_ += partial.masked;
    ignored_count_ += partial.ignored;
  }
  row_count_ =
      static_cast<int64_t>(problem_.rows) - masked_count_ - ignored_count_;
  weight_sum_ = uniform_ ? static_cast<double>(row_count_) : TreeSum(sums);
  normalizer_ = Normalizer();
}

double RowWeights::Normalizer() const {
  switch (problem_.reduction) {
    case Reduction::kNone:
    case Reduction::kSum:
      return 1;
    case Reduction::kMean: {
      const auto rows = static_cast<double>(row_count_);
      return problem_.normalizer.value_or(
          problem_.traits().mean_over_elements
              ? rows * static_cast<double>(problem_.columns)
              : rows);
    }
    case Reduction::kWeightedMean:
      return weight_sum_;
    case Reduction::kBatchMean:
      return static_cast<double>(problem_.first_axis);
  }
  return 1;
}

double RowWeights::ScaleOf(double weight, double upstream) const {
  // Finish of the computation refuses a sum that is not finite.
  if (normalizer_ == 0 || !std::isfinite(normalizer_)) return 0;
  return upstream * weight / normalizer_ / problem_.elements_per_mean();
}

bool RowWeights::ScalesFitFloat(size_t begin, size_t end) const {
  if (uniform_) return FitsFloat(uniform_scale());
  return std::ranges::all_of(
      std::span(partials_).subspan(begin, end - begin),
      [this](const Partial& partial) {
        return partial.largest == 0 ||
               (FitsFloat(ScaleOf(partial.smallest, 1)) &&
                FitsFloat(ScaleOf(partial.largest, 1)));
      });
}

void RowWeights::Fill(size_t begin, size_t count, double* weights,
                      double* scales, uint8_t* active) const {
  if (uniform_) {
    std::fill_n(weights, count, 1);
    std::fill_n(scales, count, uniform_scale());
    std::fill_n(active, count, 1);
    return;
  }
  const std::optional<int64_t>& ignored = problem_.traits().ignore_index;
  const Rows rows(problem_, ignored.has_value(), begin, count);
  for (size_t i = 0; i < count; ++i) {
    const bool counts =
        rows.mask(i) != 0 && !(ignored && rows.label(i) == *ignored);
    active[i] = counts ? 1 : 0;
    weights[i] = counts ? rows.weight(i) : 0;
    scales[i] = counts ? ScaleOf(weights[i], rows.upstream(i)) : 0;
  }
}

}  // namespace lossd
