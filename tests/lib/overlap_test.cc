// dice and tversky: worked values, edges, scopes, semantics and what is
// refused.

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worked_values.h"

namespace lossd::test {
namespace {

using testing::HasSubstr;

constexpr auto kLogits = PredictionKind::kLogits;
constexpr auto kProbabilities = PredictionKind::kProbabilities;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Problem Masks(LossParams params, std::vector<double> predictions,
              std::vector<double> targets, int64_t samples = 1) {
  Problem problem;
  problem.spec.params = std::move(params);
  problem.shape = {samples, static_cast<int64_t>(predictions.size()) / samples};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  return problem;
}

const std::vector<double> kShares = {0.8, 0.3, 0.6, 0.1, 0.2, 0.9};
const std::vector<double> kMasks = {1, 0, 1, 0, 0, 1};
const std::vector<double> kScores = {1.2, -0.7, 0.3, 2};
const std::vector<double> kSoftMask = {1, 0, 0.5, 0};

TEST(DiceTest, IsTheWorkedValue) {
  const Answer answer = MustSolve(
      Masks(DiceParams{.prediction_kind = kProbabilities, .smooth = 1}, kShares,
            kMasks, 2));
  ExpectWorked({answer.result.loss}, {0.1582446808510639});
  ExpectWorked(answer.gradient, {-0.12675418741511998, 0.08601177003168853,
                                 -0.12675418741511998, 0.13671874999999997,
                                 0.13671874999999997, -0.17578125000000003});
}

// The formula of dice.h by torch's autograd, in float64.
TEST(DiceTest, LogitsGoThroughTheSigmoid) {
  const Answer answer = MustSolve(
      Masks(DiceParams{.prediction_kind = kLogits}, kScores, kSoftMask));
  ExpectWorked({answer.result.loss}, {0.3845425900494016});
  ExpectWorked(answer.gradient, {-0.048718959042246296, 0.026990953036788494,
                                 -0.018594245456167998, 0.012781742849201383});
}

// The same of tversky.h.
TEST(TverskyTest, LogitsGoThroughTheSigmoid) {
  const Answer answer = MustSolve(Masks(
      TverskyParams{.prediction_kind = kLogits, .alpha = 0.3, .beta = 0.7},
      kScores, kSoftMask));
  ExpectWorked({answer.result.loss}, {0.2701509706090346});
  ExpectWorked(answer.gradient, {-0.04932898355285674, 0.017234900155605574,
                                 -0.024391847344086472, 0.008161700015570206});
}

TEST(TverskyTest, IsTheWorkedValue) {
  // I = 1.25, P = 0.25, M = 0.75: 1 - 2.25 / 2.85.
  const Answer answer = MustSolve(Masks(
      TverskyParams{
          .prediction_kind = kProbabilities, .alpha = 0.3, .beta = 0.7},
      {0.5, 0.25, 0.75}, {1, 0, 1}));
  ExpectWorked({answer.result.loss}, {0.6 / 2.85});
  // A b - t B over B^2 with b = 0.3 where t is 1.
  ExpectWorked(answer.gradient,
               {(2.25 * 0.3 - 2.85) / (2.85 * 2.85), 2.25 * 0.3 / (2.85 * 2.85),
                (2.25 * 0.3 - 2.85) / (2.85 * 2.85)});
}

TEST(TverskyTest, HalvesAreDiceWithTwiceTheSmooth) {
  const Answer dice = MustSolve(Masks(
      DiceParams{.prediction_kind = kLogits, .smooth = 3}, kScores, kSoftMask));
  const Answer tversky =
      MustSolve(Masks(TverskyParams{.prediction_kind = kLogits, .smooth = 1.5},
                      kScores, kSoftMask));
  EXPECT_TRUE(SameBits(dice, tversky));
}

// E16
TEST(DiceTest, EmptyMasksOverlap) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    EXPECT_EQ(MustSolve(Masks(DiceParams{.prediction_kind = kProbabilities},
                              {0, 0}, {0, 0}),
                        {.dtype = dtype})
                  .result.loss,
              0);
  }
}

TEST(DiceTest, EmptyMasksDoNotOverlapForKeras) {
  for (const LossParams& params :
       {LossParams(DiceParams{}), LossParams(TverskyParams{})}) {
    Problem problem = Masks(params, {0, 0}, {0, 0});
    problem.spec.semantics = Semantics::kKeras;
    EXPECT_EQ(MustSolve(problem).result.loss, 1);
  }
}

// keras.losses.dice's formula with epsilon 1e-7 by torch's autograd.
TEST(DiceTest, KerasTakesTheWholeTensor) {
  Problem problem = Masks(DiceParams{}, kShares, kMasks, 2);
  problem.spec.semantics = Semantics::kKeras;
  const Answer answer = MustSolve(problem);
  EXPECT_EQ(answer.result.row_count, 1);
  ExpectWorked({answer.result.loss}, {0.22033899626544073});
  const double wrong = 0.13214593059660443;
  const double right = -0.2068371145053778;
  ExpectWorked(answer.gradient, {right, wrong, right, wrong, wrong, right});
}

// The same of keras.losses.tversky, whose alpha weighs what is missed.
TEST(TverskyTest, KerasWeighsTheOtherWayRound) {
  Problem problem =
      Masks(TverskyParams{.alpha = 0.3, .beta = 0.7}, kShares, kMasks, 2);
  problem.spec.semantics = Semantics::kKeras;
  const Answer answer = MustSolve(problem);
  ExpectWorked({answer.result.loss}, {0.21501709163764182});
  const double wrong = 0.18753857238900803;
  const double right = -0.1537583442902781;
  ExpectWorked(answer.gradient, {right, wrong, right, wrong, wrong, right});
}

TEST(DiceTest, OptionsWinOverTheSemantics) {
  const DiceParams params{
      .prediction_kind = kLogits, .smooth = 1, .scope = Scope::kSample};
  Problem problem = Masks(params, kScores, kSoftMask, 2);
  const Answer strict = MustSolve(problem);
  problem.spec.semantics = Semantics::kKeras;
  EXPECT_TRUE(SameBits(MustSolve(problem), strict));
}

TEST(DiceTest, ScopeSaysWhatARowIs) {
  Problem problem =
      Masks(DiceParams{.prediction_kind = kProbabilities}, kShares, kMasks, 2);
  problem.shape = {2, 1, 3};
  EXPECT_EQ(MustSolve(problem).row_losses.size(), 2);
  problem.mask = {1, 0};
  const Answer first = MustSolve(problem);
  EXPECT_EQ(first.row_losses[1], 0);
  EXPECT_EQ(first.gradient[4], 0);
  problem.spec.params =
      DiceParams{.prediction_kind = kProbabilities, .scope = Scope::kBatch};
  problem.mask = {};
  problem.sample_weights = {2};
  problem.spec.reduction = Reduction::kSum;
  const Answer batch = MustSolve(problem);
  EXPECT_EQ(batch.row_losses.size(), 1);
  // I = 2.3, U = 2.9 + 3.
  ExpectWorked({batch.result.loss}, {2 * (1 - 5.6 / 6.9)});
}

// 1 - q of a float near 1 is rounded, s(-x) is not.
TEST(DiceTest, ConfidentMasksKeepTheirDigits) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer = MustSolve(
        Masks(DiceParams{.prediction_kind = kLogits}, {30, 30}, {1, 1}),
        {.dtype = dtype});
    // M / (2 + 2 + 1) of both.
    EXPECT_NEAR(answer.result.loss / (2 * std::exp(-30.0) / 5), 1, 1e-6);
    EXPECT_NEAR(answer.gradient[0] / (-std::exp(-30.0) * 0.2), 1, 1e-6);
  }
}

TEST(OverlapBadInputTest, NamesFieldAndElement) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Form form{.dtype = dtype};
    const DiceParams probabilities{.prediction_kind = kProbabilities};
    const TverskyParams logits{.prediction_kind = kLogits};
    for (const double bad : {kNan, kInfinity, -kInfinity}) {
      EXPECT_THAT(Solve(Masks(logits, {0, 0, bad}, {1, 0, 1}), form),
                  Violates("predictions.data[2]"));
      EXPECT_THAT(Solve(Masks(logits, {0, 0, 0}, {1, bad, 1}), form),
                  Violates("targets.data[1]"));
    }
    for (const double bad : {-0.5, 1.5}) {
      const auto prediction =
          Solve(Masks(probabilities, {0, bad}, {1, 0}, 2), form);
      EXPECT_THAT(prediction, Violates("predictions.data[1]"));
      EXPECT_THAT(prediction.status().ToString(), HasSubstr("LOGITS"));
      EXPECT_THAT(Solve(Masks(probabilities, {0, 1}, {bad, 0}), form),
                  Violates("targets.data[0]"));
    }
    const auto empty =
        Solve(Masks(DiceParams{.prediction_kind = kProbabilities, .smooth = 0},
                    {1, 0, 0, 0}, {1, 0, 0, 0}, 2),
              form);
    EXPECT_THAT(empty, Violates("predictions.data[2]"));
    EXPECT_THAT(empty.status().ToString(), HasSubstr("smooth > 0"));
  }
}

TEST(OverlapBadInputTest, NamesOptions) {
  EXPECT_THAT(Solve(Masks(DiceParams{}, {0}, {0})),
              Violates("options.prediction_kind"));
  EXPECT_THAT(Solve(Masks(DiceParams{.prediction_kind =
                                         PredictionKind::kLogProbabilities},
                          {0}, {0})),
              Violates("options.prediction_kind"));
  EXPECT_THAT(Solve(Masks(DiceParams{.prediction_kind = kLogits, .smooth = -1},
                          {0}, {0})),
              Violates("options.smooth"));
  EXPECT_THAT(
      Solve(Masks(TverskyParams{.prediction_kind = kLogits, .alpha = -1}, {0},
                  {0})),
      Violates("options.alpha"));
  EXPECT_THAT(
      Solve(Masks(TverskyParams{.prediction_kind = kLogits, .beta = kInfinity},
                  {0}, {0})),
      Violates("options.beta"));
}

TEST(OverlapPropagationTest, WhatIsOutsideIsComputedWith) {
  Problem problem = Masks(DiceParams{.prediction_kind = kProbabilities},
                          {2, 0.5, kNan, 0.5}, {1, 0, 1, 0}, 2);
  problem.spec.semantics = Semantics::kPytorch;
  problem.spec.reduction = Reduction::kNone;
  const Answer answer = MustSolve(problem);
  // 1 - (2 * 2 + 1) / (2.5 + 1 + 1).
  ExpectWorked({answer.row_losses[0]}, {1 - 5 / 4.5});
  EXPECT_TRUE(std::isnan(answer.row_losses[1]));
  EXPECT_TRUE(std::isnan(answer.gradient[3]));
}

}  // namespace
}  // namespace lossd::test
