// The nine losses again, in long double, from their definitions alone: no line
// is shared with lib/, no vector, no float. What lib/ computes is compared
// with it.

#ifndef LOSSD_TESTS_SUPPORT_REFERENCE_LOSSES_H_
#define LOSSD_TESTS_SUPPORT_REFERENCE_LOSSES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/support/problem.h"

namespace lossd::test {

// The numbers of one row of the problem.
RowInputs RowOf(const Problem& problem, size_t row);

// The loss of one row with these numbers instead of the problem's.
ReferenceRow ReferenceRowLoss(const Problem& problem, size_t row,
                              const RowInputs& inputs);

// What the surprisals of a row's classes are multiplied by: the targets or the
// one-hot row of the label, smoothed and weighted by class. Row-wise losses.
std::vector<Number> EffectiveTargets(const Problem& problem, size_t row);

// Whether a row's target, before class weights, is 1 for one class and 0 for
// all others. Row-wise losses.
bool IsOneHot(const Problem& problem, size_t row);

struct Reference {
  Number loss = 0;
  Number loss_sum = 0;
  Number weight_sum = 0;
  Number normalizer = 1;
  int64_t row_count = 0;
  int64_t masked_count = 0;
  int64_t ignored_count = 0;
  // Weighted; 0 for rows that do not count.
  std::vector<ReferenceRow> rows;
  // What the gradient of each row loss is multiplied by.
  std::vector<Number> gradient_factors;
};

// Reduces the row losses of a problem.
Reference ComputeReference(const Problem& problem);

// Derivatives of each row's loss, before weights and reduction, by central
// differences over five points, at distances of `steps` (one an element): with
// respect to the predictions or, if it is named, to an extra input of their
// shape.
std::vector<Number> CentralDifferences(const Problem& problem,
                                       std::span<const double> steps,
                                       const std::string& extra = "");

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_REFERENCE_LOSSES_H_
