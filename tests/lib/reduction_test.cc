// Reductions, weights, masks, normalizers and upstream gradients of every loss.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

constexpr Reduction kReductions[] = {Reduction::kNone, Reduction::kSum,
                                     Reduction::kMean, Reduction::kWeightedMean,
                                     Reduction::kBatchMean};

class ReductionTest : public testing::TestWithParam<LossCase> {
 protected:
  // Three axes, so that rows and the first axis differ.
  static Problem Batch(Dtype dtype = Dtype::kFloat64) {
    return Sample(GetParam(), {10, 17, 3}, dtype);
  }
  static void Check(const Problem& problem, const Form& form = {}) {
    SCOPED_TRACE(problem.spec.reduction
                     ? static_cast<int>(*problem.spec.reduction)
                     : -1);
    const absl::StatusOr<Answer> answer = Solve(problem, form);
    ASSERT_THAT(answer, IsOk());
    ExpectLosses(GetParam(), problem, form.dtype, *answer);
    if (form.dtype == Dtype::kFloat64) {
      ExpectGradient(GetParam(), problem, *answer);
    } else {
      const absl::StatusOr<Answer> in_double = Solve(problem);
      ASSERT_THAT(in_double, IsOk());
      ExpectFloatGradient(GetParam(), problem, *answer, *in_double);
    }
  }
};

TEST_P(ReductionTest, EveryReductionIsThatOfTheReference) {
  Problem problem = Batch();
  for (const Reduction reduction : kReductions) {
    problem.spec.reduction = reduction;
    Check(problem);
  }
}

TEST_P(ReductionTest, WeightsMultiplyRowsAndMasksHideThem) {
  Problem problem = Batch();
  AddWeights(problem, 2);
  AddMask(problem, 3);
  for (const Reduction reduction : kReductions) {
    problem.spec.reduction = reduction;
    Check(problem);
  }
}

TEST_P(ReductionTest, HoldsInFloat32) {
  Problem problem = Batch(Dtype::kFloat32);
  AddWeights(problem, 2);
  AddMask(problem, 3);
  problem.upstream_gradient = {-0.37};
  for (const Reduction reduction : kReductions) {
    problem.spec.reduction = reduction;
    Check(problem, {.dtype = Dtype::kFloat32});
  }
}

TEST_P(ReductionTest, WeightsMayBeNegativeWhereTheyAreNoDivisor) {
  Problem problem = Batch();
  AddWeights(problem, 2, true);
  for (const Reduction reduction : {Reduction::kNone, Reduction::kSum,
                                    Reduction::kMean, Reduction::kBatchMean}) {
    problem.spec.reduction = reduction;
    Check(problem);
  }
}

TEST_P(ReductionTest, NormalizerReplacesTheCountOfMean) {
  Problem problem = Batch();
  AddWeights(problem, 2);
  AddMask(problem, 3);
  problem.spec.normalizer = 12345.678;
  Check(problem);
}

TEST_P(ReductionTest, UpstreamGradientMultipliesTheGradientOnly) {
  Problem problem = Batch();
  AddWeights(problem, 2);
  for (const Reduction reduction : kReductions) {
    problem.spec.reduction = reduction;
    problem.upstream_gradient = {};
    const absl::StatusOr<Answer> plain = Solve(problem, {.gradient = false});
    ASSERT_THAT(plain, IsOk());
    problem.upstream_gradient = {-2.5};
    Check(problem);
    const absl::StatusOr<Answer> scaled = Solve(problem, {.gradient = false});
    ASSERT_THAT(scaled, IsOk());
    EXPECT_TRUE(SameBits(*scaled, *plain));
  }
}

TEST_P(ReductionTest, UpstreamGradientMayBeOneARowWithNone) {
  Problem problem = Batch();
  problem.spec.reduction = Reduction::kNone;
  AddWeights(problem, 2);
  AddMask(problem, 3);
  Random random(7);
  for (size_t row = 0; row < problem.rows(); ++row) {
    problem.upstream_gradient.push_back(random.Normal());
  }
  Check(problem);
}

TEST_P(ReductionTest, PowersOfTwoScaleExactly) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem = Batch(dtype);
    problem.spec.reduction = Reduction::kSum;
    AddWeights(problem, 2);
    const absl::StatusOr<Answer> once = Solve(problem, {.dtype = dtype});
    for (double& weight : problem.sample_weights) weight *= 2;
    const absl::StatusOr<Answer> twice = Solve(problem, {.dtype = dtype});
    ASSERT_THAT(once, IsOk());
    ASSERT_THAT(twice, IsOk());
    EXPECT_EQ(twice->result.loss, 2 * once->result.loss);
    for (size_t i = 0; i < once->gradient.size(); ++i) {
      ASSERT_EQ(twice->gradient[i], 2 * once->gradient[i]) << i;
    }
  }
}

// Puts row 0 in the place of row 2 of three.
template <class T>
void RepeatFirstRow(std::vector<T>& numbers) {
  const auto size = static_cast<std::ptrdiff_t>(numbers.size() / 3);
  std::copy_n(numbers.begin(), size, numbers.begin() + 2 * size);
}

TEST_P(ReductionTest, WeightTwoIsTheRowTwiceAndWeightZeroIsNoRow) {
  Problem once = SampleRows(GetParam(), 3, 6, Dtype::kFloat64);
  // One row that is the whole tensor cannot be repeated.
  if (once.rows() != 3) return;
  const size_t columns = once.columns();
  once.sample_weights = {2, 1, 0};
  Problem twice = once;
  RepeatFirstRow(twice.predictions);
  RepeatFirstRow(twice.targets);
  RepeatFirstRow(twice.labels);
  RepeatFirstRow(twice.target_indices);
  for (Extra& extra : twice.extras) RepeatFirstRow(extra.numbers);
  twice.sample_weights = {};
  for (const Reduction reduction :
       {Reduction::kSum, Reduction::kWeightedMean}) {
    once.spec.reduction = twice.spec.reduction = reduction;
    const absl::StatusOr<Answer> weighted = Solve(once);
    const absl::StatusOr<Answer> repeated = Solve(twice);
    ASSERT_THAT(weighted, IsOk());
    ASSERT_THAT(repeated, IsOk());
    EXPECT_NEAR(weighted->result.loss, repeated->result.loss,
                1e-14 * std::abs(repeated->result.loss));
    for (size_t k = 0; k < columns; ++k) {
      const size_t last = 2 * columns + k;
      EXPECT_NEAR(weighted->gradient[k],
                  repeated->gradient[k] + repeated->gradient[last],
                  1e-14 * std::abs(weighted->gradient[k]));
      EXPECT_EQ(weighted->gradient[last], 0);
    }
  }
}

TEST_P(ReductionTest, WeightsAndMasksOfOneChangeNothing) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem = Batch(dtype);
    for (const Reduction reduction : kReductions) {
      SCOPED_TRACE(static_cast<int>(reduction));
      problem.spec.reduction = reduction;
      problem.mask = {};
      problem.sample_weights = {};
      const absl::StatusOr<Answer> plain = Solve(problem, {.dtype = dtype});
      problem.mask.assign(problem.rows(), 1);
      const absl::StatusOr<Answer> masked = Solve(problem, {.dtype = dtype});
      problem.sample_weights.assign(problem.rows(), 1);
      const absl::StatusOr<Answer> weighted = Solve(problem, {.dtype = dtype});
      ASSERT_THAT(plain, IsOk());
      ASSERT_THAT(masked, IsOk());
      ASSERT_THAT(weighted, IsOk());
      EXPECT_TRUE(SameBits(*masked, *plain));
      EXPECT_TRUE(SameBits(*weighted, *plain));
    }
  }
}

TEST_P(ReductionTest, WeightsMayBeOfEitherDtype) {
  Problem problem = Batch();
  AddWeights(problem, 2);
  for (std::vector<double>* numbers :
       {&problem.sample_weights, &problem.column}) {
    for (double& number : *numbers) number = static_cast<float>(number);
  }
  problem.upstream_gradient = {0.75};
  problem.spec.reduction = Reduction::kWeightedMean;
  const absl::StatusOr<Answer> narrow =
      Solve(problem, {.weight_dtype = Dtype::kFloat32});
  const absl::StatusOr<Answer> wide =
      Solve(problem, {.weight_dtype = Dtype::kFloat64});
  ASSERT_THAT(narrow, IsOk());
  ASSERT_THAT(wide, IsOk());
  EXPECT_TRUE(SameBits(*narrow, *wide));
}

TEST_P(ReductionTest, WeightsMayBeOfHalfTypes) {
  Problem problem = SampleRows(GetParam(), 5, 3, Dtype::kFloat64);
  if (problem.rows() != 5) return;
  problem.spec.reduction = Reduction::kSum;
  // Numbers that both types hold; subnormal, normal and negative ones.
  problem.sample_weights = {0.5, -1.75, 0x1p-14, -0.0, 96};
  const Answer expected = MustSolve(problem);
  struct Half {
    Dtype dtype;
    std::array<uint16_t, 5> bits;
  };
  for (const Half& half :
       {Half{Dtype::kFloat16, {0x3800, 0xBF00, 0x0400, 0x8000, 0x5600}},
        Half{Dtype::kBfloat16, {0x3F00, 0xBFE0, 0x3880, 0x8000, 0x42C0}}}) {
    TestCall call(problem, {});
    call.inputs.sample_weights->dtype = half.dtype;
    call.inputs.sample_weights->data = std::as_bytes(std::span(half.bits));
    const absl::StatusOr<Answer> answer = call.Run();
    ASSERT_THAT(answer, IsOk());
    EXPECT_TRUE(SameBits(*answer, expected));
  }
}

TEST_P(ReductionTest, RowLossesAreThoseOfNoneForEveryReduction) {
  Problem problem = Batch();
  AddWeights(problem, 2);
  AddMask(problem, 3);
  problem.spec.reduction = Reduction::kNone;
  const absl::StatusOr<Answer> none = Solve(problem);
  ASSERT_THAT(none, IsOk());
  EXPECT_TRUE(std::isnan(none->result.loss));
  for (const Reduction reduction : kReductions) {
    problem.spec.reduction = reduction;
    const absl::StatusOr<Answer> answer = Solve(problem);
    ASSERT_THAT(answer, IsOk());
    EXPECT_EQ(answer->row_losses, none->row_losses);
    EXPECT_EQ(answer->result.loss_sum, none->result.loss_sum);
  }
}

// What is left of a batch of which nothing counts.
void ExpectNothing(const Answer& answer, const Problem& problem) {
  EXPECT_EQ(answer.result.loss, 0);
  EXPECT_EQ(answer.result.loss_sum, 0);
  EXPECT_EQ(answer.result.normalizer, 0);
  for (const std::vector<double>* numbers :
       {&answer.gradient, &answer.row_losses}) {
    for (const double number : *numbers) {
      EXPECT_TRUE(number == 0 && !std::signbit(number)) << number;
    }
  }
  EXPECT_EQ(answer.gradient.size(), problem.predictions.size());
}

TEST_P(ReductionTest, NothingLeftIsZero) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem = SampleRows(GetParam(), 9, 5, dtype);
    problem.mask.assign(problem.rows(), 0);
    AddWeights(problem, 2);
    for (const Reduction reduction :
         {Reduction::kMean, Reduction::kWeightedMean}) {
      problem.spec.reduction = reduction;
      const absl::StatusOr<Answer> answer = Solve(problem, {.dtype = dtype});
      ASSERT_THAT(answer, IsOk());
      ExpectNothing(*answer, problem);
      EXPECT_EQ(answer->result.row_count, 0);
      EXPECT_EQ(answer->result.masked_count, problem.rows());
    }
    for (const Reduction reduction : {Reduction::kSum, Reduction::kBatchMean}) {
      problem.spec.reduction = reduction;
      const absl::StatusOr<Answer> answer = Solve(problem, {.dtype = dtype});
      ASSERT_THAT(answer, IsOk());
      EXPECT_EQ(answer->result.loss, 0);
    }
  }
}

TEST_P(ReductionTest, WeightsThatAddUpToZeroLeaveNothing) {
  Problem problem = SampleRows(GetParam(), 9, 5, Dtype::kFloat64);
  problem.sample_weights.assign(problem.rows(), 0);
  problem.spec.reduction = Reduction::kWeightedMean;
  const absl::StatusOr<Answer> answer = Solve(problem);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->result.loss, 0);
  EXPECT_EQ(answer->result.normalizer, 0);
  for (const double slope : answer->gradient) EXPECT_EQ(slope, 0);
}

TEST_P(ReductionTest, NoRowsAreNothing) {
  Problem problem = Sample(GetParam(), {0, 5}, Dtype::kFloat64);
  for (const Reduction reduction :
       {Reduction::kMean, Reduction::kWeightedMean, Reduction::kBatchMean}) {
    problem.spec.reduction = reduction;
    const absl::StatusOr<Answer> answer = Solve(problem);
    if (problem.columns() == 0) {
      EXPECT_THAT(answer, Violates("predictions.shape"));
      continue;
    }
    ASSERT_THAT(answer, IsOk());
    ExpectNothing(*answer, problem);
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, ReductionTest, testing::ValuesIn(LossCases()),
                         CaseName);

}  // namespace
}  // namespace lossd::test
