#include "lib/core/row_weights.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lib/core/convert.h"
#include "lib/core/scratch.h"
#include "lib/core/sum.h"
#include "lib/kernels/indexed_targets.h"

namespace lossd {

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

uint8_t RowWeights::MaskOf(size_t row) const {
  if (!problem_.mask) return 1;
  uint8_t scratch = 0;
  return std::to_integer<uint8_t>(*problem_.mask->data.Read(row, 1, &scratch));
}

bool RowWeights::Masked(size_t row) const { return MaskOf(row) == 0; }

bool RowWeights::Ignored(size_t row) const {
  const std::optional<int64_t>& ignored = problem_.traits().ignore_index;
  if (!ignored) return false;
  int64_t label = 0;
  return *ReadElements(problem_.targets, row, 1, &label) == *ignored;
}

double RowWeights::Weight(size_t row) const {
  return problem_.sample_weights ? ReadElement(*problem_.sample_weights, row)
                                 : 1;
}

double RowWeights::WeightOfClass(int64_t label) const {
  const bool known =
      label >= 0 && static_cast<uint64_t>(label) < problem_.columns;
  // The second phase refuses the others.
  return known ? problem_.column[static_cast<size_t>(label)] : 0;
}

double RowWeights::ClassWeight(size_t row) const {
  if (!has_class_weights_) return 1;
  if (problem_.traits().targets == TargetsRole::kLabels) {
    int64_t scratch = 0;
    return WeightOfClass(*ReadElements(problem_.targets, row, 1, &scratch));
  }
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

double RowWeights::Upstream(size_t row) const {
  return problem_.upstream_rows ? ReadElement(*problem_.upstream_rows, row)
                                : problem_.upstream;
}

std::optional<FieldViolation> RowWeights::CheckRow(size_t row) const {
  const auto index = static_cast<int64_t>(row);
  const double weight = Weight(row);
  if (!std::isfinite(weight)) {
    return FieldViolation{"sample_weights.data", index, NumberText(weight),
                          "finite numbers"};
  }
  if (weight < 0 && problem_.reduction == Reduction::kWeightedMean) {
    return FieldViolation{"sample_weights.data", index, NumberText(weight),
                          ">= 0 with the reduction WEIGHTED_MEAN"};
  }
  if (const double upstream = Upstream(row); !std::isfinite(upstream)) {
    return FieldViolation{"upstream_gradient.data", index, NumberText(upstream),
                          "finite numbers"};
  }
  return std::nullopt;
}

void RowWeights::RunBlock(size_t block) {
  const size_t begin = block * rows_per_block_;
  const size_t count = std::min(rows_per_block_, problem_.rows - begin);
  Partial& partial = partials_[block];
  std::array<double, kBlockElements> weights;
  for (size_t i = 0; i < count; ++i) {
    const size_t row = begin + i;
    weights[i] = 0;
    if (MaskOf(row) > 1) {
      partial.violation = FieldViolation{"mask.data", static_cast<int64_t>(row),
                                         std::to_string(MaskOf(row)), "0 or 1"};
      return;
    }
    if (Masked(row)) {
      ++partial.masked;
    } else if (Ignored(row)) {
      ++partial.ignored;
    } else {
      partial.violation = CheckRow(row);
      if (partial.violation) return;
      const double weight = Weight(row);
      weights[i] = weight * ClassWeight(row);
      if (const double factor = std::abs(weight * Upstream(row)); factor > 0) {
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
  for (size_t i = 0; i < count; ++i) {
    const size_t row = begin + i;
    const bool counts = uniform_ || !(Masked(row) || Ignored(row));
    active[i] = counts ? 1 : 0;
    weights[i] = counts ? Weight(row) : 0;
    scales[i] = counts ? ScaleOf(weights[i], Upstream(row)) : 0;
  }
}

}  // namespace lossd
