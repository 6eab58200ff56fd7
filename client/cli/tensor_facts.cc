#include "client/cli/tensor_facts.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/table.h"

namespace lossd::cli {
namespace {

// The standard deviation of a Gaussian whose median absolute value is 1.
constexpr double kSigmaOfMedian = 1.4826;

double MedianOf(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

ArrayFacts FactsOf(const Array& array) {
  ArrayFacts facts;
  facts.minimum = std::numeric_limits<double>::infinity();
  facts.maximum = -facts.minimum;
  const int64_t columns = array.RowLength();
  const bool rows = array.shape.size() >= 2;
  facts.rows_sum_to_one = rows;
  facts.rows_exponentials_sum_to_one = rows;
  facts.rows_one_hot = rows;
  double sum = 0;
  double exponentials = 0;
  int64_t ones = 0;
  for (int64_t i = 0; i < array.Size(); ++i) {
    const double value = array.Number(i);
    facts.minimum = std::min(facts.minimum, value);
    facts.maximum = std::max(facts.maximum, value);
    if (std::isnan(value) && !facts.first_nan) facts.first_nan = i;
    const bool in_unit = value >= 0 && value <= 1;
    if (!in_unit && !facts.first_outside_unit) facts.first_outside_unit = i;
    facts.only_zero_one &= value == 0 || value == 1;
    facts.only_plus_minus_one &= value == -1 || value == 1;
    facts.only_whole &= std::isfinite(value) && value == std::trunc(value);
    sum += value;
    exponentials += std::exp(value);
    ones += value == 1 ? 1 : 0;
    if ((i + 1) % columns != 0) continue;
    // Negated, so that a NaN is no sum of 1.
    if (!(std::abs(sum - 1) <= kRowSumTolerance)) facts.rows_sum_to_one = false;
    if (!(std::abs(exponentials - 1) <= kRowSumTolerance)) {
      facts.rows_exponentials_sum_to_one = false;
    }
    if (ones != 1) facts.rows_one_hot = false;
    sum = 0;
    exponentials = 0;
    ones = 0;
  }
  facts.rows_one_hot &= facts.only_zero_one;
  return facts;
}

std::string RangeText(const ArrayFacts& facts) {
  return absl::StrCat(ShortText(facts.minimum), " to ",
                      ShortText(facts.maximum));
}

ResidualFacts ResidualsOf(const Array& predictions, const Array& targets) {
  std::vector<double> sizes;
  for (int64_t i = 0; i < predictions.Size(); ++i) {
    sizes.push_back(std::abs(predictions.Number(i) - targets.Number(i)));
  }
  ResidualFacts facts;
  if (sizes.empty()) return facts;
  facts.count = predictions.Size();
  facts.top_count = OnePercentOf(facts.count);
  facts.robust_sigma = kSigmaOfMedian * MedianOf(sizes);
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  facts.largest = sizes.front();
  facts.mean_absolute = std::accumulate(sizes.begin(), sizes.end(), 0.0) /
                        static_cast<double>(sizes.size());
  if (facts.largest == 0) return facts;
  double squares = 0;
  double top_squares = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    // Scaled, so that no square overflows.
    const double ratio = sizes[i] / facts.largest;
    squares += ratio * ratio;
    if (i < static_cast<size_t>(facts.top_count)) top_squares = squares;
  }
  facts.top_share = top_squares / squares;
  return facts;
}

double MedianOf(const Array& array) {
  std::vector<double> values;
  for (int64_t i = 0; i < array.Size(); ++i) values.push_back(array.Number(i));
  return MedianOf(std::move(values));
}

int64_t OnePercentOf(int64_t count) { return count / 100 + (count % 100 != 0); }

}  // namespace lossd::cli
