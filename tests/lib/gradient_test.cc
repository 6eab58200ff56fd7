// Gradients of every loss against central differences of the reference, and the
// forms in which they can be had.

#include <cstddef>
#include <limits>
#include <optional>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

// The problem with classes that cannot be, up to `columns` in all; nothing
// where there is no such thing: probabilities, whose zeros have a slope, label
// smoothing, which gives every class some mass, and class weights.
std::optional<Problem> WithImpossibleClasses(const Problem& problem,
                                             int64_t columns) {
  const auto plain_logits = [](const auto& params) {
    if constexpr (requires {
                    params.label_smoothing;
                    params.z_loss;
                  }) {
      return params.prediction_kind == PredictionKind::kLogits &&
             params.label_smoothing == 0;
    } else if constexpr (requires { params.target_kind; }) {
      return params.prediction_kind == PredictionKind::kLogits;
    } else {
      return false;
    }
  };
  if (!std::visit(plain_logits, problem.spec.params)) return std::nullopt;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto* divergence =
      std::get_if<KullbackLeiblerDivergenceParams>(&problem.spec.params);
  const bool logarithms =
      divergence != nullptr &&
      divergence->target_kind == TargetKind::kLogProbabilities;
  const auto widen = [&](const std::vector<double>& numbers, double filler) {
    std::vector<double> wide;
    for (size_t i = 0; i < numbers.size(); ++i) {
      wide.push_back(numbers[i]);
      if ((i + 1) % problem.columns() != 0) continue;
      wide.resize(
          wide.size() + static_cast<size_t>(columns) - problem.columns(),
          filler);
    }
    return wide;
  };
  Problem wide = problem;
  wide.shape.back() = columns;
  wide.predictions = widen(problem.predictions, -kInfinity);
  wide.targets = widen(problem.targets, logarithms ? -kInfinity : 0);
  return wide;
}

class GradientTest : public testing::TestWithParam<LossCase> {};

TEST_P(GradientTest, IsTheDerivativeOfTheReference) {
  for (const int64_t columns : {1, 2, 3, 10, 16, 31, 32, 33}) {
    SCOPED_TRACE(columns);
    Problem problem = Sample(GetParam(), {12, columns}, Dtype::kFloat64);
    for (const Reduction reduction : {Reduction::kSum, Reduction::kMean}) {
      problem.spec.reduction = reduction;
      const absl::StatusOr<Answer> answer = Solve(problem);
      ASSERT_THAT(answer, IsOk());
      ExpectGradient(GetParam(), problem, *answer);
    }
  }
}

// A row of n elements has the gradient of n rows of one, up to rounding: so
// what was checked for short rows holds for those that span blocks.
TEST_P(GradientTest, DoesNotDependOnHowElementsMakeRows) {
  const auto columns = static_cast<int64_t>(kBlockElements) + 17;
  const Problem row = Sample(GetParam(), {1, columns}, Dtype::kFloat64);
  if (IsRowwise(GetParam()) || !row.pos_weight.empty() || !row.column.empty()) {
    return;
  }
  Problem rows = row;
  rows.shape = {columns};
  if (row.traits().sum_of_elements) rows.spec.reduction = Reduction::kSum;
  const absl::StatusOr<Answer> wide = Solve(row);
  const absl::StatusOr<Answer> narrow = Solve(rows);
  ASSERT_THAT(wide, IsOk());
  ASSERT_THAT(narrow, IsOk());
  for (size_t i = 0; i < wide->gradient.size(); ++i) {
    ASSERT_DOUBLE_EQ(wide->gradient[i], narrow->gradient[i]) << i;
  }
}

// A class added with logit -inf and no mass changes nothing: so what was
// checked for few classes holds for rows that span blocks.
TEST_P(GradientTest, DoesNotDependOnImpossibleClasses) {
  if (!IsRowwise(GetParam())) return;
  const int64_t columns = 20;
  const int64_t padded = static_cast<int64_t>(kBlockElements) + 17;
  const Problem few = Sample(GetParam(), {3, columns}, Dtype::kFloat64);
  const absl::StatusOr<Answer> expected = Solve(few);
  ASSERT_THAT(expected, IsOk());
  const std::optional<Problem> many = WithImpossibleClasses(few, padded);
  if (!many) return;
  const absl::StatusOr<Answer> answer = Solve(*many);
  ASSERT_THAT(answer, IsOk());
  for (size_t row = 0; row < few.rows(); ++row) {
    for (size_t k = 0; k < many->columns(); ++k) {
      const double slope = answer->gradient[row * many->columns() + k];
      if (k < few.columns()) {
        ASSERT_NEAR(slope, expected->gradient[row * few.columns() + k], 1e-14);
      } else {
        ASSERT_EQ(slope, 0);
      }
    }
  }
}

TEST_P(GradientTest, MayOverwriteThePredictions) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (const int64_t columns : {1, 10, 40, 5000}) {
      for (const size_t offset : {size_t{0}, size_t{3}}) {
        Problem problem = Sample(GetParam(), {7, columns}, dtype);
        AddMask(problem, 5);
        problem.mask[0] = 1;
        Form form{.dtype = dtype, .offset = offset};
        const absl::StatusOr<Answer> apart = Solve(problem, form);
        ASSERT_THAT(apart, IsOk());
        form.in_place = true;
        const absl::StatusOr<Answer> in_place = Solve(problem, form);
        ASSERT_THAT(in_place, IsOk());
        EXPECT_TRUE(SameBits(*in_place, *apart))
            << columns << " columns, offset " << offset;
      }
    }
  }
}

TEST_P(GradientTest, IsRoundedOnceToItsDtype) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Problem problem = Sample(GetParam(), {50, 12}, dtype);
    const absl::StatusOr<Answer> wide =
        Solve(problem, {.dtype = dtype, .gradient_dtype = Dtype::kFloat64});
    const absl::StatusOr<Answer> narrow =
        Solve(problem, {.dtype = dtype, .gradient_dtype = Dtype::kFloat32});
    ASSERT_THAT(wide, IsOk());
    ASSERT_THAT(narrow, IsOk());
    for (size_t i = 0; i < wide->gradient.size(); ++i) {
      ASSERT_EQ(static_cast<float>(wide->gradient[i]), narrow->gradient[i])
          << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, GradientTest, testing::ValuesIn(LossCases()),
                         CaseName);

}  // namespace
}  // namespace lossd::test
