// Half types in and out: what they add is one exact conversion of each input
// and one rounding of each gradient.

#include "tests/support/half.h"

#include <cmath>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

// Rounds towards 0, so that what lies inside an open range, like that of a
// probability, stays in it.
void Truncate(Dtype dtype, std::vector<double>& numbers) {
  for (double& number : numbers) {
    const double nearest = RoundToHalf(dtype, number);
    number = std::abs(nearest) <= std::abs(number)
                 ? nearest
                 : RoundToHalf(dtype, number * (1 - 0x1p-8));
  }
}

class HalfTest : public testing::TestWithParam<LossCase> {
 protected:
  // A problem whose numbers the type holds; not every case's inputs survive
  // the rounding (rows of probabilities do not sum to 1 any more).
  static Problem Rounded(Dtype dtype, std::vector<int64_t> shape) {
    Problem problem = Sample(GetParam(), std::move(shape), Dtype::kFloat32);
    Truncate(dtype, problem.predictions);
    Truncate(dtype, problem.targets);
    for (Extra& extra : problem.extras) Truncate(dtype, extra.numbers);
    AddWeights(problem, 2);
    return problem;
  }
};

// Rounded probabilities need not sum to 1 as closely as float32 ones must.
bool OnlySumsAreOff(const absl::StatusOr<Answer>& answer) {
  return !answer.ok() &&
         absl::StrContains(answer.status().message(), "a row that sums to");
}

// The same loss and, where they are float32, the same gradients as of the same
// numbers sent as float32; or refused alike.
TEST_P(HalfTest, InputsAreReadExactly) {
  for (const Dtype dtype : {Dtype::kFloat16, Dtype::kBfloat16}) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{5, 3}, {3, 40}, {700, 13}}) {
      const Problem problem = Rounded(dtype, shape);
      const auto wide =
          Solve(problem, {.dtype = Dtype::kFloat32, .diagnostics = true});
      const auto half = Solve(problem, {.dtype = dtype,
                                        .gradient_dtype = Dtype::kFloat32,
                                        .diagnostics = true,
                                        .offset = 1});
      if (!half.ok() || OnlySumsAreOff(wide)) continue;
      ASSERT_THAT(wide, IsOk());
      EXPECT_TRUE(SameBits(*wide, *half));
    }
  }
}

// Targets and extra inputs may be of another type than predictions.
TEST_P(HalfTest, TypesMayBeMixed) {
  const Problem problem = Rounded(Dtype::kBfloat16, {30, 13});
  const auto wide = Solve(problem, {.dtype = Dtype::kFloat32});
  const auto mixed = Solve(problem, {.dtype = Dtype::kFloat32,
                                     .target_dtype = Dtype::kBfloat16,
                                     .extra_dtype = Dtype::kBfloat16});
  const auto other = Solve(problem, {.dtype = Dtype::kBfloat16,
                                     .target_dtype = Dtype::kFloat32,
                                     .extra_dtype = Dtype::kFloat32,
                                     .gradient_dtype = Dtype::kFloat32});
  if (OnlySumsAreOff(wide)) return;
  ASSERT_THAT(wide, IsOk());
  ASSERT_THAT(mixed, IsOk());
  ASSERT_THAT(other, IsOk());
  EXPECT_TRUE(SameBits(*wide, *mixed));
  EXPECT_TRUE(SameBits(*wide, *other));
}

TEST_P(HalfTest, GradientsAreRoundedOnce) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    // Normal numbers of every case fit bfloat16; float16 overflows early.
    const Problem problem = Sample(GetParam(), {50, 12}, dtype);
    const auto wide = Solve(problem, {.dtype = dtype});
    const auto half =
        Solve(problem, {.dtype = dtype, .gradient_dtype = Dtype::kBfloat16});
    ASSERT_THAT(wide, IsOk());
    ASSERT_THAT(half, IsOk());
    EXPECT_EQ(wide->result.loss, half->result.loss);
    for (size_t i = 0; i < wide->gradient.size(); ++i) {
      ASSERT_EQ(RoundToHalf(Dtype::kBfloat16, wide->gradient[i]),
                half->gradient[i]);
    }
    for (const auto& [name, gradient] : wide->extra_gradients) {
      for (size_t i = 0; i < gradient.size(); ++i) {
        ASSERT_EQ(RoundToHalf(Dtype::kBfloat16, gradient[i]),
                  half->extra_gradients.at(name)[i]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, HalfTest, testing::ValuesIn(LossCases()),
                         CaseName);

// 2 * 40000 is beyond float16: refused in STRICT, infinite elsewhere.
TEST(HalfGradientTest, OverflowIsRefusedOrInfinite) {
  Problem problem;
  problem.spec.params = MeanSquaredErrorParams{};
  problem.spec.reduction = Reduction::kSum;
  problem.shape = {2};
  problem.predictions = {1, 40000};
  problem.targets = {0, 0};
  const Form form{.dtype = Dtype::kFloat32, .gradient_dtype = Dtype::kFloat16};
  const auto refused = Solve(problem, form);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument,
                                testing::HasSubstr("predictions.data[1]")));
  problem.spec.semantics = Semantics::kPytorch;
  const auto propagated = Solve(problem, form);
  ASSERT_THAT(propagated, IsOk());
  EXPECT_EQ(propagated->gradient, (std::vector<double>{2, HUGE_VAL}));
  EXPECT_EQ(propagated->result.loss, 1600000001);
}

}  // namespace
}  // namespace lossd::test
