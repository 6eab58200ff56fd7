#include "lib/core/diagnostics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "lib/core/sum.h"
#include "lib/core/violation.h"
#include "lib/kernels/exp.h"

namespace lossd {
namespace {

// How far from 1 the sum of a row may be that looks like probabilities.
constexpr double kSumTolerance = 1e-4;

// From what share on saturated predictions are worth a word.
constexpr double kManySaturated = 0.01;

constexpr std::string_view kSaturatedFraction = "saturated_fraction";

// In lanes, as every sum, so that a vectoriser cannot change its order.
template <class T>
double SumOfSquares(const T* numbers, size_t count) {
  std::array<double, kSumLanes> lanes{};
  for (size_t i = 0; i < count; ++i) {
    lanes[i % kSumLanes] += double{numbers[i]} * double{numbers[i]};
  }
  return CombineLanes(lanes);
}

template <class T>
double LargestSize(const T* numbers, size_t count) {
  T largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const T size = std::abs(numbers[i]);
    // NaN stays.
    if (!(size <= largest)) largest = size;
  }
  return largest;
}

}  // namespace

Diagnostics::Diagnostics(const Problem& problem)
    : problem_(problem), own_(problem.traits().diagnostics.size()) {}

void Diagnostics::MakeRoom(size_t end) {
  if (!wanted()) return;
  blocks_.resize(end);
  figures_.resize(end * own_);
}

template <class T, class Active>
void Diagnostics::Observe(size_t block, size_t rows, size_t columns,
                          const T* predictions, const T* gradient,
                          const int64_t* labels, const Active* active) {
  Block& facts = blocks_[block];
  for (size_t row = 0; row < rows; ++row) {
    if (active != nullptr && active[row] == 0) continue;
    double sum = 0;
    for (size_t k = 0; k < columns; ++k) {
      const T number = predictions[row * columns + k];
      facts.non_finite += std::isfinite(number) ? 0 : 1;
      facts.probable &= number >= 0 && number <= 1;
      sum += double{number};
    }
    facts.probable &= columns == 1 || std::abs(sum - 1) <= kSumTolerance;
    if (labels != nullptr) {
      facts.smallest_label = std::min(facts.smallest_label, labels[row]);
    }
  }
  if (gradient == nullptr) return;
  facts.gradient_squares = SumOfSquares(gradient, rows * columns);
  facts.gradient_max = LargestSize(gradient, rows * columns);
}

double Diagnostics::Combined(size_t figure, double counted) const {
  std::vector<double> parts;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    parts.push_back(figures_[block * own_ + figure]);
  }
  switch (problem_.traits().diagnostics[figure].combine) {
    case DiagnosticInfo::Combine::kMean:
      return counted > 0 ? TreeSum(parts) / counted : 0;
    case DiagnosticInfo::Combine::kExpOfMean:
      return counted > 0 ? Exp(TreeSum(parts) / counted) : 0;
    case DiagnosticInfo::Combine::kSum:
      return TreeSum(parts);
    case DiagnosticInfo::Combine::kMax:
      break;
  }
  return parts.empty() || !(counted > 0) ? 0 : *std::ranges::max_element(parts);
}

std::vector<Diagnostic> Diagnostics::Finish(double counted,
                                            int64_t clipped) const {
  if (!problem_.diagnostics) return {};
  std::vector<Diagnostic> all;
  for (size_t figure = 0; figure < own_; ++figure) {
    all.push_back({std::string(problem_.traits().diagnostics[figure].name),
                   Combined(figure, counted)});
  }
  std::vector<double> squares;
  double largest = 0;
  int64_t non_finite = 0;
  for (const Block& block : blocks_) {
    squares.push_back(block.gradient_squares);
    if (!(block.gradient_max <= largest)) largest = block.gradient_max;
    non_finite += block.non_finite;
  }
  if (problem_.has_gradient()) {
    all.push_back({"gradient_l2_norm", std::sqrt(TreeSum(squares))});
    all.push_back({"gradient_max_norm", largest});
  }
  all.push_back({"non_finite_count", static_cast<double>(non_finite)});
  all.push_back({"clipped_count", static_cast<double>(clipped)});
  return all;
}

std::vector<std::string> Diagnostics::Warnings(double counted) const {
  std::vector<std::string> warnings;
  if (!wanted() || !(counted > 0)) return warnings;
  const LossTraits& traits = problem_.traits();
  const auto probable = [](const Block& block) { return block.probable; };
  if (traits.logits && std::ranges::all_of(blocks_, probable)) {
    warnings.emplace_back(
        "predictions are given as logits but look like probabilities: they are "
        "all in [0, 1]; if they are, set prediction_kind to PROBABILITIES");
  }
  int64_t smallest = std::numeric_limits<int64_t>::max();
  for (const Block& block : blocks_) {
    smallest = std::min(smallest, block.smallest_label);
  }
  // Every class would have to be seen often to be sure.
  constexpr double kRowsPerClass = 4;
  if (traits.targets == TargetsRole::kLabels && smallest > 0 &&
      counted >= kRowsPerClass * static_cast<double>(problem_.columns)) {
    warnings.push_back(
        absl::StrCat("no label is 0 and the smallest is ", smallest,
                     ": labels look 1-based, but are read as 0-based"));
  }
  for (size_t figure = 0; figure < own_; ++figure) {
    if (traits.diagnostics[figure].name != kSaturatedFraction) continue;
    const double share = Combined(figure, counted);
    if (share < kManySaturated) continue;
    warnings.push_back(absl::StrCat(
        NumberText(share * 100),
        " % of the predictions are saturated: so close to 0 or 1 that float32 "
        "cannot tell, where gradients vanish or explode"));
  }
  return warnings;
}

template void Diagnostics::Observe(size_t, size_t, size_t, const float*,
                                   const float*, const int64_t*, const float*);
template void Diagnostics::Observe(size_t, size_t, size_t, const double*,
                                   const double*, const int64_t*,
                                   const double*);
template void Diagnostics::Observe(size_t, size_t, size_t, const float*,
                                   const float*, const int64_t*,
                                   const uint8_t*);
template void Diagnostics::Observe(size_t, size_t, size_t, const double*,
                                   const double*, const int64_t*,
                                   const uint8_t*);

}  // namespace lossd
