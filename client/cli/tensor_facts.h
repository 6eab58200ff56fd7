// What a pair of tensors shows about the loss it wants. Nothing here decides.

#ifndef LOSSD_CLIENT_CLI_TENSOR_FACTS_H_
#define LOSSD_CLIENT_CLI_TENSOR_FACTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "client/cli/array_data.h"

namespace lossd::cli {

// Rows of probabilities sum to 1 this closely: what the losses accept.
inline constexpr double kRowSumTolerance = 1e-4;

// What holds of all elements of an array. Of an empty array everything holds.
struct ArrayFacts {
  double minimum = 0;
  double maximum = 0;
  // Index of the first NaN.
  std::optional<int64_t> first_nan;
  // Index of the first element outside [0, 1].
  std::optional<int64_t> first_outside_unit;
  bool only_zero_one = true;
  bool only_plus_minus_one = true;
  bool only_whole = true;
  // Of each row, the last axis: sums to 1; the exponentials sum to 1; holds
  // exactly one 1 and else zeros. False for arrays of fewer than two axes.
  bool rows_sum_to_one = false;
  bool rows_exponentials_sum_to_one = false;
  bool rows_one_hot = false;
};
ArrayFacts FactsOf(const Array& array);

// "-3.5 to 12": minimum and maximum.
std::string RangeText(const ArrayFacts& facts);

// How predictions miss targets; r = prediction - target.
struct ResidualFacts {
  // The largest 1 % of the |r|, at least one: how many of how many, and their
  // share of the sum of all r^2, in [0, 1]. A Gaussian has 0.08.
  int64_t top_count = 0;
  int64_t count = 0;
  double top_share = 0;
  // 1.4826 times the median |r|: the standard deviation if r is Gaussian.
  double robust_sigma = 0;
  double mean_absolute = 0;
  double largest = 0;
};
// Requires equal shapes and no NaN.
ResidualFacts ResidualsOf(const Array& predictions, const Array& targets);

// The median; of an even number of elements the upper one. Requires at least
// one element and no NaN.
double MedianOf(const Array& array);

// One percent of `count`, rounded up: at least 1 unless there is nothing.
int64_t OnePercentOf(int64_t count);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_TENSOR_FACTS_H_
