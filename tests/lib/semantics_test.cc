// What STRICT, PYTORCH and KERAS decide: worked values, and properties that
// hold for every loss.

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Problem Elementwise(LossParams params, Semantics semantics,
                    std::vector<double> predictions,
                    std::vector<double> targets) {
  Problem problem;
  problem.spec.params = std::move(params);
  problem.spec.semantics = semantics;
  problem.shape = {static_cast<int64_t>(predictions.size())};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  return problem;
}

Problem OneRow(LossParams params, Semantics semantics,
               std::vector<double> predictions, std::vector<double> targets) {
  Problem problem = Elementwise(std::move(params), semantics,
                                std::move(predictions), std::move(targets));
  problem.shape = {1, problem.shape[0]};
  return problem;
}

// The worked values have 16 digits; each is one or two roundings away.
auto Near(std::vector<double> numbers) {
  return Pointwise(testing::Truly([](const std::tuple<double, double>& pair) {
                     const auto [got, expected] = pair;
                     return std::abs(got - expected) <=
                            1e-14 * std::max(1.0, std::abs(expected));
                   }),
                   std::move(numbers));
}

constexpr BinaryCrossEntropyParams kOfProbabilities{
    .prediction_kind = PredictionKind::kProbabilities};

// torch.nn.functional.binary_cross_entropy in float64 of these numbers; the
// floor of its denominators is a float32 there too.
constexpr double kLargest = 1 / double{1e-12F};

TEST(BinaryCrossEntropySemanticsTest, PytorchFloorsLogarithms) {
  const Answer answer =
      MustSolve(Elementwise(kOfProbabilities, Semantics::kPytorch,
                            {0, 1, 0, 1, 0.25}, {1, 0, 0, 1, 1}));
  EXPECT_THAT(answer.row_losses, Near({100, 100, 0, 0, 1.3862943611198906}));
  EXPECT_THAT(answer.gradient,
              Near({-kLargest / 5, kLargest / 5, 0, 0, -4.0 / 5}));
  EXPECT_EQ(answer.result.clipped_count, 4);
}

// Keras clips to [1e-7, 1 - 1e-7], here in float64 also for float32.
TEST(BinaryCrossEntropySemanticsTest, KerasClips) {
  const Problem problem = Elementwise(
      BinaryCrossEntropyParams{}, Semantics::kKeras, {0, 1, 0.25}, {1, 0, 1});
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_THAT(answer.row_losses,
                Near({16.11809565095832, -std::log(1 - (1 - 1e-7)),
                      1.3862943611198906}));
    EXPECT_THAT(answer.gradient, ElementsAre(0, 0, DoubleNear(-4.0 / 3, 1e-6)));
    EXPECT_EQ(answer.result.clipped_count, 2);
  }
}

TEST(ElementwiseSemanticsTest, PytorchMakesEveryElementARow) {
  Problem problem = Elementwise(MeanSquaredErrorParams{}, Semantics::kPytorch,
                                {1, 2, 3, 4, 5, 6}, {0, 0, 0, 0, 0, 0});
  problem.shape = {2, 3};
  problem.spec.reduction = Reduction::kNone;
  EXPECT_THAT(MustSolve(problem).row_losses, ElementsAre(1, 4, 9, 16, 25, 36));
  problem.sample_weights = {1, 0, 1, 0, 0, 2};
  problem.mask = {1, 1, 1, 0, 0, 1};
  EXPECT_THAT(MustSolve(problem).row_losses, ElementsAre(1, 0, 9, 0, 0, 72));
  problem.spec.reduction = Reduction::kSum;
  const Answer sum = MustSolve(problem);
  EXPECT_EQ(sum.result.loss, 82);
  EXPECT_EQ(sum.result.row_count, 4);
  EXPECT_THAT(sum.gradient, ElementsAre(2, 0, 6, 0, 0, 24));
  problem.spec.reduction = std::nullopt;
  EXPECT_EQ(MustSolve(problem).result.loss, 82.0 / 4);
}

TEST(ElementwiseSemanticsTest, StrictAndKerasMakeRowsOfTheLastAxis) {
  for (const Semantics semantics : {Semantics::kStrict, Semantics::kKeras}) {
    Problem problem = Elementwise(MeanSquaredErrorParams{}, semantics,
                                  {1, 2, 3, 4, 5, 6}, {0, 0, 0, 0, 0, 0});
    problem.shape = {2, 3};
    problem.spec.reduction = Reduction::kSum;
    const Answer answer = MustSolve(problem);
    EXPECT_DOUBLE_EQ(answer.result.loss, (1 + 4 + 9 + 16 + 25 + 36) / 3.0);
    EXPECT_EQ(answer.row_losses.size(), 2);
  }
}

// The column input still goes by the last axis.
TEST(ElementwiseSemanticsTest, PytorchKeepsColumnsOfPosWeight) {
  Problem problem = Elementwise(
      BinaryCrossEntropyParams{.prediction_kind = PredictionKind::kLogits},
      Semantics::kPytorch, {0, 0, 0, 0}, {1, 1, 1, 1});
  problem.shape = {2, 2};
  problem.pos_weight = {1, 3};
  problem.spec.reduction = Reduction::kNone;
  const double log2 = std::log(2.0);
  EXPECT_THAT(MustSolve(problem).row_losses,
              Near({log2, 3 * log2, log2, 3 * log2}));
}

TEST(HingeSemanticsTest, KerasReadsZeroAsMinusOne) {
  const Answer answer = MustSolve(Elementwise(
      HingeParams{}, Semantics::kKeras, {0.5, 0.5, 0.5, 2}, {1, -1, 0, 0.5}));
  EXPECT_THAT(answer.row_losses, ElementsAre(0.5, 1.5, 1.5, 0));
}

TEST(SparseSemanticsTest, PytorchTakesLogitsIgnores100AndWeighsTheMean) {
  Problem problem;
  problem.spec.params = SparseCategoricalCrossEntropyParams{};
  problem.spec.semantics = Semantics::kPytorch;
  problem.shape = {3, 2};
  problem.predictions = {0, 0, 0, 0, 7, 8};
  problem.labels = {0, 1, -100};
  problem.class_weights = {1, 3};
  const Answer weighted = MustSolve(problem);
  EXPECT_EQ(weighted.result.reduction, Reduction::kWeightedMean);
  EXPECT_EQ(weighted.result.normalizer, 4);
  EXPECT_EQ(weighted.result.ignored_count, 1);
  EXPECT_NEAR(weighted.result.loss, std::log(2.0), 1e-15);
  problem.class_weights.clear();
  EXPECT_EQ(MustSolve(problem).result.reduction, Reduction::kMean);
}

TEST(SparseSemanticsTest, LabelsThatAreNoClassAreRefusedByAll) {
  for (const Semantics semantics :
       {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
    for (const int64_t label : {3, -1, -101}) {
      Problem problem;
      problem.spec.params = SparseCategoricalCrossEntropyParams{
          .prediction_kind = PredictionKind::kLogits};
      problem.spec.semantics = semantics;
      problem.shape = {1, 3};
      problem.predictions = {1, 2, 3};
      problem.labels = {label};
      EXPECT_THAT(Solve(problem), Violates("targets.data[0]"));
    }
  }
}

TEST(CategoricalSemanticsTest, ProbabilitiesAtTheEnds) {
  const auto at_the_ends = [](Semantics semantics) {
    return OneRow(
        CategoricalCrossEntropyParams{.prediction_kind =
                                          PredictionKind::kProbabilities},
        semantics, {1, 0}, {0, 1});
  };
  EXPECT_THAT(Solve(at_the_ends(Semantics::kStrict)),
              Violates("predictions.data[1]"));
  const Answer pytorch = MustSolve(at_the_ends(Semantics::kPytorch));
  EXPECT_EQ(pytorch.result.loss, 100);
  EXPECT_THAT(pytorch.gradient, Near({0, -1e12}));
  EXPECT_EQ(pytorch.result.clipped_count, 1);
  const Answer keras = MustSolve(at_the_ends(Semantics::kKeras));
  EXPECT_THAT(keras.row_losses, Near({16.11809565095832}));
  EXPECT_THAT(keras.gradient, ElementsAre(0, 0));
  EXPECT_EQ(keras.result.clipped_count, 2);
}

// q / sum q, and the gradient has the term of the sum: T / Q - t / q.
TEST(CategoricalSemanticsTest, KerasNormalizesRows) {
  const Answer answer = MustSolve(OneRow(CategoricalCrossEntropyParams{},
                                         Semantics::kKeras, {1, 3}, {1, 0}));
  EXPECT_THAT(answer.row_losses, Near({std::log(4.0)}));
  EXPECT_THAT(answer.gradient, Near({0.25 - 1, 0.25}));
}

TEST(CategoricalSemanticsTest, PytorchTakesRowsAsGiven) {
  const Answer answer = MustSolve(
      OneRow(CategoricalCrossEntropyParams{.prediction_kind =
                                               PredictionKind::kProbabilities},
             Semantics::kPytorch, {0.25, 3}, {1, 0}));
  EXPECT_THAT(answer.row_losses, Near({std::log(4.0)}));
  EXPECT_THAT(answer.gradient, Near({-4, 0}));
}

// torch.nn.functional.cross_entropy([inf, 0], 0) is NaN, of [0, -inf] with
// class 1 infinite.
TEST(CategoricalSemanticsTest, LogitsPropagate) {
  Problem problem;
  problem.spec.params = SparseCategoricalCrossEntropyParams{};
  problem.spec.semantics = Semantics::kPytorch;
  problem.spec.reduction = Reduction::kNone;
  problem.shape = {4, 2};
  problem.predictions = {kInfinity, 0, 0, -kInfinity, 0, 0, kNan, 0};
  problem.labels = {0, 1, 1, 1};
  const Answer answer = MustSolve(problem);
  EXPECT_TRUE(std::isnan(answer.row_losses[0]));
  EXPECT_EQ(answer.row_losses[1], kInfinity);
  EXPECT_NEAR(answer.row_losses[2], std::log(2.0), 1e-15);
  EXPECT_TRUE(std::isnan(answer.row_losses[3]));
  EXPECT_THAT(std::vector<double>(answer.gradient.begin() + 2,
                                  answer.gradient.begin() + 6),
              ElementsAre(1, -1, 0.5, -0.5));
  EXPECT_TRUE(std::isnan(answer.gradient[6]));
}

TEST(NothingLeftTest, IsNanForMeansOfPytorchAndZeroElse) {
  for (const Semantics semantics :
       {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
    for (const Reduction reduction :
         {Reduction::kMean, Reduction::kWeightedMean, Reduction::kSum}) {
      Problem problem =
          Elementwise(MeanSquaredErrorParams{}, semantics, {1, 2}, {0, 0});
      problem.mask = {0, 0};
      problem.spec.reduction = reduction;
      const Answer answer = MustSolve(problem);
      if (semantics == Semantics::kPytorch && reduction != Reduction::kSum) {
        EXPECT_TRUE(std::isnan(answer.result.loss));
      } else {
        EXPECT_EQ(answer.result.loss, 0);
      }
      EXPECT_THAT(answer.gradient, ElementsAre(0, 0));
    }
  }
}

// Also where a case's numbers are outside the domain that a semantics chooses
// (poisson of logarithms, which Keras reads as rates).
bool Same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

class PropagationTest : public testing::TestWithParam<LossCase> {};

// NaN stays in its row, under every semantics that lets it in.
TEST_P(PropagationTest, NanStaysInItsRow) {
  for (const Semantics semantics : {Semantics::kPytorch, Semantics::kKeras}) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
      Problem problem = Sample(GetParam(), {6, 5}, dtype);
      problem.spec.semantics = semantics;
      problem.spec.reduction = Reduction::kSum;
      const absl::StatusOr<Answer> clean = Solve(problem, {.dtype = dtype});
      ASSERT_THAT(clean, IsOk());
      const size_t rows = problem.rows();
      const size_t columns = problem.columns();
      std::fill_n(problem.predictions.begin(), columns, kNan);
      const absl::StatusOr<Answer> answer = Solve(problem, {.dtype = dtype});
      ASSERT_TRUE(answer.ok()) << answer.status();
      const bool ignored = problem.traits().ignore_index &&
                           problem.labels[0] == *problem.traits().ignore_index;
      EXPECT_EQ(std::isnan(answer->result.loss), !ignored);
      for (size_t row = 1; row < rows; ++row) {
        ASSERT_TRUE(Same(answer->row_losses[row], clean->row_losses[row]));
      }
      for (size_t i = columns; i < rows * columns; ++i) {
        ASSERT_TRUE(Same(answer->gradient[i], clean->gradient[i])) << i;
      }
      for (size_t k = 0; !IsRowwise(GetParam()) && k < columns; ++k) {
        ASSERT_TRUE(std::isnan(answer->gradient[k]));
      }
    }
  }
}

// Masked rows add +0 whatever they contain, under every semantics.
TEST_P(PropagationTest, MaskedRowsDoNotPropagate) {
  for (const Semantics semantics : {Semantics::kPytorch, Semantics::kKeras}) {
    Problem problem = Sample(GetParam(), {4, 5}, Dtype::kFloat32);
    problem.spec.semantics = semantics;
    const size_t columns = problem.columns();
    problem.mask.assign(problem.rows(), 1);
    problem.mask[0] = 0;
    std::fill_n(problem.predictions.begin(), columns, kNan);
    const absl::StatusOr<Answer> answer =
        Solve(problem, {.dtype = Dtype::kFloat32});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->row_losses[0], 0);
    for (size_t k = 0; k < columns; ++k) {
      EXPECT_EQ(answer->gradient[k], 0);
      EXPECT_FALSE(std::signbit(answer->gradient[k]));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, PropagationTest,
                         testing::ValuesIn(LossCases()), CaseName);

}  // namespace
}  // namespace lossd::test
