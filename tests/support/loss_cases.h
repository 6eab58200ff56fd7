// The table of losses under test: every property test runs over all its rows.

#ifndef LOSSD_TESTS_SUPPORT_LOSS_CASES_H_
#define LOSSD_TESTS_SUPPORT_LOSS_CASES_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/problem.h"
#include "tests/support/random.h"

namespace lossd::test {

// A loss with a set of options and the inputs that try it.
struct LossCase {
  // Letters, digits and underscores.
  std::string name;
  LossParams params;
  // Fills in predictions, targets or labels, and extra inputs, for the
  // problem's shape.
  std::function<void(Random&, Problem&)> sample;
  // Bounds of a row loss and of a gradient element, in units in the last place
  // of the dtype of the computation: 4 unless the loss's header promises less
  // or, for squares of logarithms, more. The gradient's covers the slope and
  // its product with the rounded scale.
  double loss_ulp = 4;
  double gradient_ulp = 4;
  // Distance of a prediction to the nearest place where the loss is not
  // smooth. Unset: smooth everywhere.
  std::function<double(double prediction, double target)> kink_distance;
  // How far the prediction must move to change the loss's derivatives by a
  // factor of a few; `target` is 0 with labels. Unset: 1.
  std::function<double(double prediction, double target)> length;
  // The same two for losses of more than prediction and target; what is unset
  // is as above. `element` counts over the predictions.
  std::function<double(const Problem&, size_t element)> kink_distance_at = {};
  std::function<double(const Problem&, size_t element)> length_at = {};
  // `length_at` for a differentiable extra input. Unset: 1.
  std::function<double(const Problem&, const std::string& extra,
                       size_t element)>
      extra_length_at = {};
  // Larger of the two terms whose difference is the slope, when those cancel.
  // Unset: the slope itself.
  std::function<double(double prediction, double target)> slope_scale;
  // What errors of slopes are relative to, where that is more than the slope
  // (row-wise: than the largest slope of the row), for losses of more than
  // prediction and target. `extra` is empty for the predictions.
  std::function<double(const Problem&, const std::string& extra,
                       size_t element)>
      slope_scale_at = {};
  // The same once for each row, of row-wise losses.
  std::function<double(const Problem&, const std::string& extra, size_t row)>
      slope_scale_of_row = {};
  // The loss of a row by its definition, for losses that reference_losses.cc
  // does not know.
  std::function<ReferenceRow(const RowInputs&)> reference = {};
};

const std::vector<LossCase>& LossCases();

// Whether the loss couples the elements of a row.
bool IsRowwise(const LossCase& loss_case);

// A problem of this case, MEAN, all optional inputs left out; the same for the
// same arguments. kFloat32: every number is a float.
Problem Sample(const LossCase& loss_case, std::vector<int64_t> shape,
               Dtype dtype, uint64_t seed = 1);

// The same with so many rows: of one column where every element is a row.
Problem SampleRows(const LossCase& loss_case, int64_t rows, int64_t columns,
                   Dtype dtype);

// Adds sample_weights in [0.5, 2), negative ones too if `signs`, to a problem.
void AddWeights(Problem& problem, uint64_t seed, bool signs = false);

// Adds a mask that hides about a quarter of the rows.
void AddMask(Problem& problem, uint64_t seed);

// A problem with every reduction, without and with every optional input.
std::vector<Problem> Variants(const Problem& plain);

// For INSTANTIATE_TEST_SUITE_P: names a case.
std::string CaseName(const testing::TestParamInfo<LossCase>& info);

void PrintTo(const LossCase& loss_case, std::ostream* out);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_LOSS_CASES_H_
