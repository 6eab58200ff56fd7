// Figures beside the loss, and warnings.

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Form kDiagnosed{.diagnostics = true};

std::map<std::string, double> FiguresOf(const Answer& answer) {
  std::map<std::string, double> figures;
  for (const Diagnostic& figure : answer.result.diagnostics) {
    EXPECT_TRUE(figures.emplace(figure.name, figure.value).second)
        << figure.name;
  }
  return figures;
}

class DiagnosticsTest : public testing::TestWithParam<LossCase> {};

TEST_P(DiagnosticsTest, ChangeNothingAndHaveTheSameBitsEverywhere) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem = Sample(GetParam(), {700, 13}, dtype);
    AddWeights(problem, 2);
    AddMask(problem, 3);
    const auto plain = Solve(problem, {.dtype = dtype});
    const auto one = Solve(problem, {.dtype = dtype, .diagnostics = true});
    const auto three =
        Solve(problem, {.dtype = dtype, .diagnostics = true, .threads = 3});
    ASSERT_THAT(plain, IsOk());
    ASSERT_THAT(one, IsOk());
    ASSERT_THAT(three, IsOk());
    EXPECT_THAT(plain->result.diagnostics, IsEmpty());
    EXPECT_TRUE(SameBits(*plain, *one));
    EXPECT_TRUE(SameBits(*one, *three));
    EXPECT_EQ(one->result.diagnostics.size(),
              problem.traits().diagnostics.size() + 4);
    std::map<std::string, double> figures = FiguresOf(*one);
    // Of the gradient before it was rounded to float32, in lanes.
    const double rounding = dtype == Dtype::kFloat32 ? 0x1p-24 : 1e-13;
    double squares = 0;
    double largest = 0;
    for (const double g : one->gradient) {
      squares += g * g;
      largest = std::max(largest, std::abs(g));
    }
    EXPECT_NEAR(figures.at("gradient_l2_norm"), std::sqrt(squares),
                rounding * std::sqrt(squares));
    EXPECT_NEAR(figures.at("gradient_max_norm"), largest, rounding * largest);
    EXPECT_EQ(figures.at("non_finite_count"), 0);
    EXPECT_EQ(figures.at("clipped_count"), 0);
  }
}

TEST_P(DiagnosticsTest, AreZeroWhereNothingCounts) {
  Problem problem = Sample(GetParam(), {3, 5}, Dtype::kFloat64);
  problem.mask.assign(problem.rows(), 0);
  const auto answer = Solve(problem, kDiagnosed);
  ASSERT_THAT(answer, IsOk());
  for (const auto& [name, value] : FiguresOf(*answer))
    EXPECT_EQ(value, 0) << name;
  EXPECT_THAT(answer->result.warnings, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Losses, DiagnosticsTest,
                         testing::ValuesIn(LossCases()), CaseName);

Problem Sparse(PredictionKind kind, std::vector<int64_t> shape,
               std::vector<double> predictions, std::vector<int64_t> labels) {
  Problem problem;
  problem.spec.params =
      SparseCategoricalCrossEntropyParams{.prediction_kind = kind};
  problem.shape = std::move(shape);
  problem.predictions = std::move(predictions);
  problem.labels = std::move(labels);
  return problem;
}

// Softmax (1/4, 3/4) and (1/2, 1/2): a few roundings each.
TEST(SoftmaxDiagnosticsTest, WorkedValues) {
  Problem problem = Sparse(PredictionKind::kLogits, {3, 2},
                           {0, std::log(3.0), 5, 5, 9, 0}, {1, 1, 0});
  problem.mask = {1, 1, 0};
  const auto figures = FiguresOf(MustSolve(problem, kDiagnosed));
  EXPECT_EQ(figures.at("accuracy"), 0.5);
  const double first = -(0.25 * std::log(0.25) + 0.75 * std::log(0.75));
  EXPECT_NEAR(figures.at("entropy"), (first + std::log(2.0)) / 2, 1e-14);
  EXPECT_NEAR(figures.at("perplexity"), std::sqrt(4.0 / 3 * 2), 1e-14);
  EXPECT_NEAR(figures.at("mean_target_probability"), (0.75 + 0.5) / 2, 1e-14);
}

// The same for targets that are rows or weights of classes.
TEST(SoftmaxDiagnosticsTest, TargetsOfAnyForm) {
  const Problem labels =
      Sparse(PredictionKind::kLogits, {2, 3}, {0, 1, 2, 2, 0, 1}, {2, 1});
  Problem dense = labels;
  dense.spec.params =
      CategoricalCrossEntropyParams{.prediction_kind = PredictionKind::kLogits};
  dense.labels.clear();
  dense.targets = {0, 0, 1, 0, 1, 0};
  Problem indexed = dense;
  indexed.target_indices = {2, 0, 1, 7};
  indexed.targets = {1, 0, 1, 0};
  const Answer expected = MustSolve(labels, kDiagnosed);
  EXPECT_TRUE(SameBits(expected, MustSolve(dense, kDiagnosed)));
  EXPECT_TRUE(SameBits(expected, MustSolve(indexed, kDiagnosed)));
}

TEST(BinaryDiagnosticsTest, WorkedValues) {
  Problem problem;
  problem.spec.params =
      BinaryCrossEntropyParams{.prediction_kind = PredictionKind::kLogits};
  problem.shape = {4};
  problem.predictions = {std::log(3.0), -std::log(3.0), 40, -1};
  problem.targets = {1, 1, 1, 0};
  const auto figures = FiguresOf(MustSolve(problem, kDiagnosed));
  EXPECT_EQ(figures.at("accuracy"), 0.75);
  EXPECT_NEAR(figures.at("mean_target_probability"),
              (0.75 + 0.25 + 1 + 1 / (1 + std::exp(-1.0))) / 4, 1e-14);
  EXPECT_EQ(figures.at("saturated_fraction"), 0.25);
}

TEST(NormsTest, AreOfTheGradientThatWasWanted) {
  Problem problem;
  problem.spec.params = MeanSquaredErrorParams{};
  problem.spec.reduction = Reduction::kSum;
  problem.shape = {2};
  problem.predictions = {1.5, -2};
  problem.targets = {0, 0};
  const auto figures = FiguresOf(MustSolve(problem, kDiagnosed));
  EXPECT_EQ(figures.at("gradient_l2_norm"), 5);
  EXPECT_EQ(figures.at("gradient_max_norm"), 4);
  const auto without =
      FiguresOf(MustSolve(problem, {.gradient = false, .diagnostics = true}));
  EXPECT_EQ(without.count("gradient_l2_norm"), 0);
}

TEST(NonFiniteCountTest, CountsPredictionsOfRowsThatCount) {
  Problem problem;
  problem.spec.params = MeanSquaredErrorParams{};
  problem.spec.semantics = Semantics::kPytorch;
  problem.shape = {4};
  problem.predictions = {NAN, HUGE_VAL, 1, NAN};
  problem.targets = {0, 0, 0, 0};
  problem.mask = {1, 1, 1, 0};
  EXPECT_EQ(FiguresOf(MustSolve(problem, kDiagnosed)).at("non_finite_count"),
            2);
}

TEST(WarningsTest, LogitsThatLookLikeProbabilities) {
  Problem problem =
      Sparse(PredictionKind::kLogits, {2, 2}, {0.25, 0.75, 0.5, 0.5}, {0, 1});
  const auto warned = MustSolve(problem, kDiagnosed);
  EXPECT_THAT(warned.result.warnings,
              ElementsAre(HasSubstr("look like probabilities")));
  // Not asked for, the same result without a word.
  const auto silent = MustSolve(problem);
  EXPECT_THAT(silent.result.warnings, IsEmpty());
  EXPECT_TRUE(SameBits(warned, silent));
  problem.predictions[0] = 0.5;
  EXPECT_THAT(MustSolve(problem, kDiagnosed).result.warnings, IsEmpty());
}

TEST(WarningsTest, LabelsThatLookOneBased) {
  Problem problem =
      Sparse(PredictionKind::kLogits, {12, 3}, std::vector<double>(36, 2), {});
  for (int64_t i = 0; i < 12; ++i) problem.labels.push_back(1 + i % 2);
  EXPECT_THAT(MustSolve(problem, kDiagnosed).result.warnings,
              ElementsAre(HasSubstr("labels look 1-based")));
  problem.labels[5] = 0;
  EXPECT_THAT(MustSolve(problem, kDiagnosed).result.warnings, IsEmpty());
}

TEST(WarningsTest, SaturatedPredictions) {
  Problem problem;
  problem.spec.params =
      BinaryCrossEntropyParams{.prediction_kind = PredictionKind::kLogits};
  problem.shape = {2};
  problem.predictions = {50, -2};
  problem.targets = {1, 0};
  EXPECT_THAT(MustSolve(problem, kDiagnosed).result.warnings,
              ElementsAre(HasSubstr("50 % of the predictions are saturated")));
}

}  // namespace
}  // namespace lossd::test
