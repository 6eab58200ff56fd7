// float32 against float64 and the reference: the bounds that the losses'
// headers promise, on many inputs and wide ranges.

#include "tests/support/accuracy.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

class AccuracyTest : public testing::TestWithParam<LossCase> {};

TEST_P(AccuracyTest, RowLossesAndGradientsKeepTheirBounds) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{20000, 1},
                                            {4000, 5},
                                            {500, 40},
                                            {20, 1000},
                                            {2, 10000}}) {
    SCOPED_TRACE(testing::PrintToString(shape));
    Problem problem = Sample(GetParam(), shape, Dtype::kFloat32, 11);
    const absl::StatusOr<Answer> narrow =
        Solve(problem, {.dtype = Dtype::kFloat32});
    const absl::StatusOr<Answer> wide = Solve(problem);
    ASSERT_THAT(narrow, IsOk());
    ASSERT_THAT(wide, IsOk());
    ExpectLosses(GetParam(), problem, Dtype::kFloat32, *narrow);
    ExpectLosses(GetParam(), problem, Dtype::kFloat64, *wide);
    ExpectFloatGradient(GetParam(), problem, *narrow, *wide);
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, AccuracyTest, testing::ValuesIn(LossCases()),
                         CaseName);

// One problem in float32 memory of its own: ten million elements are too many
// for the vectors of a Problem.
struct Floats {
  std::vector<int64_t> shape;
  std::vector<float> numbers;

  TensorView View() const {
    return {Dtype::kFloat32, shape, std::as_bytes(std::span(numbers))};
  }
};

Floats NormalFloats(std::vector<int64_t> shape, uint64_t seed) {
  Floats floats{std::move(shape), {}};
  size_t count = 1;
  for (const int64_t size : floats.shape) count *= static_cast<size_t>(size);
  floats.numbers.resize(count);
  // A pair of uniform numbers to a float: a triangle is normal enough.
  Random random(seed);
  for (float& number : floats.numbers) {
    number = static_cast<float>(random.Uniform(-1, 1) + random.Uniform(-1, 1));
  }
  return floats;
}

TEST(MeanOfTenMillionTest, IsWithin1e8OfTheExactMean) {
  const Floats predictions = NormalFloats({10'000'000}, 1);
  const Floats targets = NormalFloats({10'000'000}, 2);
  long double squares = 0;
  long double sizes = 0;
  for (size_t i = 0; i < predictions.numbers.size(); ++i) {
    const long double r =
        static_cast<long double>(predictions.numbers[i]) - targets.numbers[i];
    squares += r * r;
    sizes += std::abs(r);
  }
  const Inputs inputs{.predictions = predictions.View(),
                      .targets = targets.View()};
  const absl::StatusOr<LossResult> mse =
      Compute({.params = MeanSquaredErrorParams{}}, inputs, {});
  const absl::StatusOr<LossResult> mae =
      Compute({.params = MeanAbsoluteErrorParams{}}, inputs, {});
  ASSERT_THAT(mse, IsOk());
  ASSERT_THAT(mae, IsOk());
  EXPECT_NEAR(mse->loss / static_cast<double>(squares / 1e7L), 1, 1e-8);
  EXPECT_NEAR(mae->loss / static_cast<double>(sizes / 1e7L), 1, 1e-8);
}

TEST(MeanOfTenMillionTest, HoldsForRowsOfClasses) {
  const Floats logits = NormalFloats({1'000'000, 10}, 3);
  std::vector<int32_t> labels(1'000'000);
  const std::vector<int64_t> rows = {1'000'000};
  Random random(4);
  double total = 0;
  for (size_t row = 0; row < labels.size(); ++row) {
    labels[row] = static_cast<int32_t>(random.Below(10));
    const auto x = std::span(logits.numbers).subspan(row * 10, 10);
    double sum = 0;
    for (const float logit : x) sum += std::exp(static_cast<double>(logit));
    total += std::log(sum) -
             static_cast<double>(x[static_cast<size_t>(labels[row])]);
  }
  const absl::StatusOr<LossResult> result = Compute(
      {.params =
           SparseCategoricalCrossEntropyParams{.prediction_kind =
                                                   PredictionKind::kLogits}},
      {.predictions = logits.View(),
       .targets = {Dtype::kInt32, rows, std::as_bytes(std::span(labels))}},
      {});
  ASSERT_THAT(result, IsOk());
  EXPECT_NEAR(result->loss / (total / 1e6), 1, 1e-8);
}

}  // namespace
}  // namespace lossd::test
