// Losses of tokens and preferences: worked values, edges, refusals, semantics
// and diagnostics.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/core/violation.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worked_values.h"

namespace lossd::test {
namespace {

using Numbers = std::vector<double>;
using testing::AllOf;
using testing::HasSubstr;

constexpr auto kLogits = PredictionKind::kLogits;

Problem Elements(LossParams params, Numbers predictions,
                 std::vector<Extra> extras,
                 Semantics semantics = Semantics::kStrict) {
  Problem problem;
  problem.spec.params = params;
  problem.spec.semantics = semantics;
  problem.spec.reduction = Reduction::kSum;
  problem.shape = {static_cast<int64_t>(predictions.size())};
  problem.predictions = std::move(predictions);
  problem.extras = std::move(extras);
  return problem;
}

const Numbers kTokens = {-1, -0.2, -2, -0.5};

std::vector<Extra> Ratios(Numbers old, Numbers advantages) {
  return {{"old_log_probabilities", std::move(old)},
          {"advantages", std::move(advantages)}};
}

Problem Usual(LossParams params) {
  return Elements(params, kTokens,
                  Ratios({-1.2, -0.6, -1.5, -0.5}, {1, 1, -1, -0.5}));
}

// One token of this ratio and advantage.
Problem One(LossParams params, double log_ratio, double advantage,
            Semantics semantics = Semantics::kStrict) {
  return Elements(params, {log_ratio - 0.5}, Ratios({-0.5}, {advantage}),
                  semantics);
}

// Two rows of three logits.
Problem Rows(LossParams params, std::vector<Extra> extras,
             Semantics semantics = Semantics::kStrict) {
  Problem problem =
      Elements(params, {1, 2, 0.5, 0.1, -1.2, 3}, std::move(extras), semantics);
  problem.shape = {2, 3};
  problem.labels = {1, 0};
  return problem;
}

std::vector<Extra> RowRatios() { return Ratios({-0.6, -2.5}, {1.5, -0.5}); }

void ExpectAnswerOf(const Problem& problem, double loss,
                    const Numbers& gradient) {
  const Answer answer = MustSolve(problem);
  ExpectWorked({answer.result.loss}, {loss});
  ExpectWorked(answer.gradient, gradient);
}

void ExpectRefusal(const Problem& problem, const std::string& field,
                   const std::string& got, const std::string& allowed = "") {
  const absl::StatusOr<Answer> answer = Solve(problem);
  EXPECT_THAT(answer, Violates(field));
  EXPECT_THAT(std::string(answer.status().message()),
              AllOf(HasSubstr(got), HasSubstr(allowed)));
}

// Log-probabilities.

TEST(PolicyValuesTest, AreTheWorkedOnes) {
  ExpectAnswerOf(
      Usual(ImportanceSamplingParams{}), -1.6066967960888068,
      {-1.2214027581601699, -1.4918246976412703, 0.6065306597126334, 0.5});
  ExpectAnswerOf(Usual(PpoParams{}), -1.1, {0, 0, 0, 0.5});
  ExpectAnswerOf(
      Usual(CispoParams{}), 0.056706378263157164,
      {-1.2214027581601699, -1.4918246976412703, 0.6065306597126334, 0.5});
  ExpectAnswerOf(Usual(DroParams{.beta = 0.05}), -1.03875,
                 {-0.99, -0.98, 0.975, 0.5});
  ExpectAnswerOf(
      Elements(K3DivergenceParams{}, kTokens,
               {{"reference_log_probabilities", {-1.1, -0.3, -1.9, -0.6}}}),
      0.019683172183526443,
      {0.09516258196404048, 0.09516258196404037, -0.10517091807564771,
       0.09516258196404037});
  // 1 * 1 + 0.5 * 0.2 - 1 * 2 + 2 * 0.5.
  ExpectAnswerOf(Elements(TokenCrossEntropyParams{}, kTokens,
                          {{"weights", {1, 0.5, -1, 2}}}),
                 0.1, {-1, -0.5, 1, -2});
}

// Those of PyTorch's autograd for the same formulas, with
// log_softmax(x, -1)[label].
TEST(PolicyValuesTest, OfLogitsAreThoseOfTheLogSoftmax) {
  ExpectAnswerOf(
      Rows(TokenCrossEntropyParams{.prediction_kind = kLogits},
           {{"weights", {2, -1}}}),
      -2.0389386472782824,
      {0.4624477952442981, -0.7429365615764751, 0.28048876633217695,
       0.948577333204794, -0.014014311584288066, -0.9345630216205061});
  ExpectAnswerOf(
      Rows(ImportanceSamplingParams{.prediction_kind = kLogits}, RowRatios()),
      -1.4046610294883493,
      {0.39721703496387223, -0.638141345229606, 0.24092431026573363,
       0.2971211363380198, -0.00438967708499921, -0.29273145925302063});
  ExpectAnswerOf(
      Rows(PpoParams{.prediction_kind = kLogits}, RowRatios()),
      -1.3178891933262813,
      {0.39721703496387223, -0.638141345229606, 0.24092431026573363, 0, 0, 0});
  ExpectAnswerOf(
      Rows(CispoParams{.prediction_kind = kLogits, .clip_high = 1.1},
           RowRatios()),
      -0.1633512780666333,
      {0.38151943107654596, -0.6129226633005921, 0.23140323222404602,
       0.2971211363380198, -0.00438967708499921, -0.29273145925302063});
  ExpectAnswerOf(
      Rows(DroParams{.prediction_kind = kLogits, .beta = 0.25}, RowRatios()),
      -0.7576453229272551,
      {0.3389955518387755, -0.5446067475351963, 0.20561119569642075,
       0.3633819022782039, -0.005368615741020038, -0.3580132865371839});
  ExpectAnswerOf(
      Rows(K3DivergenceParams{.prediction_kind = kLogits},
           {{"reference_log_probabilities", {-0.6, -2.5}}}),
      0.13740005086088058,
      {-0.029327379627493638, 0.047115334540600205, -0.01778795491310656,
       -0.5656181362926412, 0.008356460271877522, 0.5572616760207638});
}

// log-probability -2e-13 with all its digits: exact values by series.
TEST(PolicyValuesTest, ConfidentLogitsKeepTheirDigits) {
  for (const Numbers& logits : {Numbers{30, 0, 0}, Numbers{1000, 970, 970}}) {
    Problem problem =
        Elements(TokenCrossEntropyParams{.prediction_kind = kLogits}, logits,
                 {{"weights", {1}}});
    problem.shape = {1, 3};
    problem.labels = {0};
    const Answer answer = MustSolve(problem);
    EXPECT_NEAR(answer.result.loss / 1.8715245937678598e-13, 1, 1e-14);
    EXPECT_NEAR(answer.gradient[0] / -1.871524593767685e-13, 1, 1e-14);
  }
}

// Rows that span blocks: classes that cannot be change nothing.
TEST(PolicyValuesTest, ImpossibleClassesChangeNothing) {
  const Problem few =
      Rows(ImportanceSamplingParams{.prediction_kind = kLogits}, RowRatios());
  const size_t columns = kBlockElements + 17;
  Problem many = few;
  many.shape = {2, static_cast<int64_t>(columns)};
  many.predictions.assign(2 * columns, -kInfinity);
  for (size_t i = 0; i < 6; ++i) {
    many.predictions[i / 3 * columns + i % 3] = few.predictions[i];
  }
  const Answer expected = MustSolve(few);
  const Answer answer = MustSolve(many);
  EXPECT_EQ(answer.result.loss, expected.result.loss);
  for (size_t i = 0; i < 2 * columns; ++i) {
    const size_t k = i % columns;
    EXPECT_EQ(answer.gradient[i],
              k < 3 ? expected.gradient[i / columns * 3 + k] : 0);
  }
}

// d^2 / 2 + d^3 / 6 of d = 2^-20, by 60-digit arithmetic.
TEST(PolicyValuesTest, K3OfNearlyTheSameKeepsItsDigits) {
  const Answer answer =
      MustSolve(Elements(K3DivergenceParams{}, {-1},
                         {{"reference_log_probabilities", {-1 + 0x1p-20}}}));
  EXPECT_NEAR(answer.result.loss / 4.547474954467883e-13, 1, 1e-15);
  EXPECT_NEAR(answer.gradient[0] / -9.536747711537455e-07, 1, 1e-15);
}

// Kinks and options.

TEST(PpoTest, BoundsBelongToTheInnerSide) {
  // Ratios of exactly 1 and bounds of exactly 1.
  const PpoParams at_one{.clip_low = 1, .clip_high = 1};
  EXPECT_EQ(MustSolve(One(at_one, 0, 2)).gradient[0], -2);
  EXPECT_EQ(MustSolve(One(at_one, 0, -2)).gradient[0], 2);
  EXPECT_EQ(MustSolve(One(at_one, 0x1p-30, 2)).gradient[0], 0);
  EXPECT_EQ(MustSolve(One(at_one, -0x1p-30, -2)).gradient[0], 0);
  // Moving back is never clipped.
  EXPECT_NEAR(MustSolve(One({PpoParams{}}, -1, 2)).gradient[0],
              -2 * std::exp(-1), 1e-15);
  EXPECT_NEAR(MustSolve(One({PpoParams{}}, 1, -2)).gradient[0], 2 * std::exp(1),
              1e-14);
}

TEST(PpoTest, GradientOfNothingIsPlusZero) {
  for (const double log_ratio : {0.0, 1.0, -1.0}) {
    for (const LossParams& params :
         {LossParams(PpoParams{}), LossParams(CispoParams{}),
          LossParams(ImportanceSamplingParams{})}) {
      const Answer answer = MustSolve(One(params, log_ratio, 0));
      EXPECT_TRUE(answer.gradient[0] == 0 && !std::signbit(answer.gradient[0]));
      EXPECT_TRUE(answer.row_losses[0] == 0 &&
                  !std::signbit(answer.row_losses[0]));
    }
  }
}

TEST(PolicyOptionsTest, AreRefusedByName) {
  const auto refuse = [](const LossParams& params, const std::string& field,
                         const std::string& got, const std::string& allowed) {
    ExpectRefusal(Usual(params), field, got, allowed);
  };
  refuse(DroParams{}, "options.beta", "got nothing", "finite and > 0");
  refuse(DroParams{.beta = 0}, "options.beta", "got 0", "> 0");
  refuse(DroParams{.beta = kNan}, "options.beta", "nan", "> 0");
  refuse(PpoParams{.clip_low = 1.3}, "options.clip_low", "1.3",
         "at most clip_high, 1.2");
  refuse(CispoParams{.clip_low = 5}, "options.clip_low", "5",
         "at most clip_high, 4");
  refuse(PpoParams{.clip_low = -0.2}, "options.clip_low", "-0.2", ">= 0");
  refuse(CispoParams{.clip_high = 0}, "options.clip_high", "0", "> 0");
  refuse(PpoParams{.prediction_kind = PredictionKind::kProbabilities},
         "options.prediction_kind", "PROBABILITIES",
         "LOGITS or LOG_PROBABILITIES");
  refuse(DpoParams{.label_smoothing = 0.5}, "options.label_smoothing", "0.5",
         "[0, 0.5)");
  refuse(DpoParams{.beta = 0}, "options.beta", "0", "> 0");
}

// Direct preference optimization.

Problem Preferences(DpoParams params,
                    Semantics semantics = Semantics::kStrict) {
  Problem problem =
      Elements(params, {-10, -8, -9},
               {{"rejected_log_probabilities", {-12, -7, -9.5}},
                {"reference_chosen_log_probabilities", {-11, -8.5, -9}},
                {"reference_rejected_log_probabilities", {-11.5, -7.5, -9}}},
               semantics);
  problem.spec.reduction = Reduction::kMean;
  return problem;
}

void ExpectPreferences(DpoParams params, double loss, const Numbers& slopes) {
  const Answer answer = MustSolve(Preferences(params));
  ExpectWorked({answer.result.loss}, {loss});
  ExpectWorked(answer.gradient, slopes);
  Numbers opposite = slopes;
  for (double& slope : opposite) slope = -slope;
  ExpectWorked(answer.extra_gradients.at("rejected_log_probabilities"),
               opposite);
}

TEST(DpoTest, GradientsAreTheWorkedOnes) {
  Problem problem = Preferences({});
  problem.shape = {2};
  problem.predictions.pop_back();
  for (Extra& extra : problem.extras) extra.numbers.pop_back();
  const Answer answer = MustSolve(problem);
  ExpectWorked({answer.result.loss}, {0.6570521141747387});
  ExpectWorked(answer.gradient, {-0.023128507732812525, -0.025});
  ExpectWorked(answer.extra_gradients.at("rejected_log_probabilities"),
               {0.023128507732812525, 0.025});
}

// PyTorch's autograd of TRL's formulas, with logsigmoid.
TEST(DpoTest, SmoothingAndRobustAreThoseOfTheFormulas) {
  ExpectPreferences({.beta = 0.3, .label_smoothing = 0.1}, 0.6224510581156442,
                    {-0.028936076605077805, -0.04, -0.036257015465625035});
  ExpectPreferences(
      {.beta = 0.3, .label_smoothing = 0.2, .robust = true}, 0.5357843914489774,
      {-0.07226940993841115, -0.08333333333333333, -0.07959034879895839});
  // Nothing to correct.
  const Answer plain = MustSolve(Preferences({.beta = 0.3}));
  const Answer robust = MustSolve(Preferences({.beta = 0.3, .robust = true}));
  EXPECT_TRUE(SameBits(plain, robust));
}

TEST(DpoTest, ManyNatsNeitherOverflowNorVanish) {
  Problem problem = Preferences({.beta = 1});
  problem.predictions = {-10, -8, -9};
  problem.extras[0].numbers = {-1011.5, -7.5, 991};
  const Answer answer = MustSolve(problem);
  problem.spec.reduction = Reduction::kNone;
  const Answer rows = MustSolve(problem);
  // h = 1001, 0.5 and -1000.
  ExpectWorked(rows.row_losses, {0, std::log1p(std::exp(-0.5)), 1000});
  EXPECT_EQ(rows.gradient[2], -1);
  EXPECT_EQ(answer.gradient[0], 0);
}

TEST(DpoTest, FiguresAreMeansOverPairs) {
  const Answer answer =
      MustSolve(Preferences({.beta = 0.3}), {.diagnostics = true});
  // Margins 0.45, 0, 0.15; a margin of 0 is not right.
  EXPECT_NEAR(Figure(answer, "accuracy"), 2.0 / 3, 1e-15);
  EXPECT_NEAR(Figure(answer, "margin_mean"), 0.2, 1e-15);
  EXPECT_NEAR(Figure(answer, "chosen_reward_mean"), 0.15, 1e-15);
  EXPECT_NEAR(Figure(answer, "rejected_reward_mean"), -0.05, 1e-15);
}

TEST(DpoTest, NamesWhatIsNotFinite) {
  for (size_t extra = 0; extra < 3; ++extra) {
    Problem problem = Preferences({});
    problem.extras[extra].numbers[1] = kInfinity;
    ExpectRefusal(problem,
                  "extra_inputs." + problem.extras[extra].name + ".data[1]",
                  "inf", "finite");
  }
  // Right beyond doubt, and refused all the same.
  Problem problem = Preferences({});
  problem.predictions[2] = kInfinity;
  ExpectRefusal(problem, "predictions.data[2]", "inf", "finite");
}

// Diagnostics.

TEST(PolicyFiguresTest, AreOfTheRatios) {
  // Ratios e^0.2, e^0.4, e^-0.5, 1.
  const double mean = (std::exp(0.2) + std::exp(0.4) + std::exp(-0.5) + 1) / 4;
  for (const LossParams& params :
       {LossParams(ImportanceSamplingParams{}), LossParams(PpoParams{}),
        LossParams(CispoParams{}), LossParams(DroParams{.beta = 1})}) {
    const Answer answer = MustSolve(Usual(params), {.diagnostics = true});
    EXPECT_NEAR(Figure(answer, "ratio_max"), std::exp(0.4), 1e-14);
    EXPECT_NEAR(Figure(answer, "ratio_mean"), mean, 1e-14);
  }
}

TEST(PolicyFiguresTest, SayHowManyTokensAreClipped) {
  const auto clipped = [](const Problem& problem) {
    return Figure(MustSolve(problem, {.diagnostics = true}),
                  "clipped_fraction");
  };
  // All but the ratio of 1.
  EXPECT_EQ(clipped(Usual(PpoParams{})), 0.75);
  // A ratio beyond its bound costs PPO nothing on the way back.
  EXPECT_EQ(clipped(One(PpoParams{}, 1, -1)), 0);
  EXPECT_EQ(clipped(One(PpoParams{}, 1, 0)), 0);
  EXPECT_EQ(clipped(One(PpoParams{}, 1, 1)), 1);
  EXPECT_EQ(clipped(Usual(CispoParams{})), 0);
  EXPECT_EQ(clipped(Usual(CispoParams{.clip_low = 0.7, .clip_high = 1.3})),
            0.5);
  EXPECT_EQ(clipped(One(CispoParams{}, 2, -1)), 1);
}

TEST(PolicyFiguresTest, OfLogitsLeaveMaskedRowsOut) {
  Problem problem = Rows(PpoParams{.prediction_kind = kLogits}, RowRatios());
  const double first = std::exp(-0.4643687841079449 + 0.6);
  const double second = std::exp(-2.9676762154941723 + 2.5);
  Answer answer = MustSolve(problem, {.diagnostics = true});
  EXPECT_NEAR(Figure(answer, "ratio_max"), first, 1e-14);
  EXPECT_NEAR(Figure(answer, "ratio_mean"), (first + second) / 2, 1e-14);
  EXPECT_EQ(Figure(answer, "clipped_fraction"), 0.5);
  problem.mask = {0, 1};
  answer = MustSolve(problem, {.diagnostics = true});
  EXPECT_NEAR(Figure(answer, "ratio_max"), second, 1e-14);
  EXPECT_NEAR(Figure(answer, "ratio_mean"), second, 1e-14);
  EXPECT_EQ(Figure(answer, "clipped_fraction"), 1);
}

TEST(PolicyFiguresTest, K3SaysItsMean) {
  Problem problem =
      Elements(K3DivergenceParams{}, kTokens,
               {{"reference_log_probabilities", {-1.1, -0.3, -1.9, -0.6}}});
  problem.sample_weights = {5, 5, 5, 5};
  EXPECT_NEAR(Figure(MustSolve(problem, {.diagnostics = true}), "kl_mean"),
              0.019683172183526443 / 4, 1e-15);
}

// Bad input.

TEST(PolicyInputTest, NamesWhatIsNotFinite) {
  for (const LossParams& params :
       {LossParams(ImportanceSamplingParams{}), LossParams(PpoParams{}),
        LossParams(CispoParams{}), LossParams(DroParams{.beta = 1})}) {
    for (const double bad : {kNan, kInfinity, -kInfinity}) {
      Problem problem = Usual(params);
      problem.predictions[2] = bad;
      ExpectRefusal(problem, "predictions.data[2]", NumberText(bad), "finite");
      for (size_t extra = 0; extra < 2; ++extra) {
        problem = Usual(params);
        problem.extras[extra].numbers[1] = bad;
        ExpectRefusal(problem,
                      "extra_inputs." + problem.extras[extra].name + ".data[1]",
                      NumberText(bad), "finite");
      }
    }
  }
}

TEST(PolicyInputTest, RatiosThatOverflowAreRefusedAlsoWhereTheyAreClipped) {
  for (const LossParams& params :
       {LossParams(ImportanceSamplingParams{}), LossParams(PpoParams{}),
        LossParams(CispoParams{})}) {
    for (const double advantage : {1.0, 0.0, -1.0}) {
      ExpectRefusal(One(params, 800, advantage), "predictions.data[0]", "800",
                    "ratio");
      // Fits float64 only.
      const Problem narrow = One(params, 100, advantage);
      EXPECT_THAT(Solve(narrow), IsOk());
      EXPECT_THAT(Solve(narrow, {.dtype = Dtype::kFloat32}),
                  Violates("predictions.data[0]"));
    }
  }
  ExpectRefusal(Elements(K3DivergenceParams{}, {-0.5, -800},
                         {{"reference_log_probabilities", {-0.5, -1}}}),
                "predictions.data[1]", "overflows");
  // No ratio in the loss.
  EXPECT_THAT(Solve(One(DroParams{.beta = 1}, 800, 1)), IsOk());
}

TEST(PolicyInputTest, LogitsNeedPossibleTokens) {
  const PpoParams params{.prediction_kind = kLogits};
  Problem problem = Rows(params, RowRatios());
  problem.predictions[1] = -kInfinity;
  ExpectRefusal(problem, "predictions.data[1]", "-inf", "possible");
  problem = Rows(params, RowRatios());
  problem.predictions[0] = -kInfinity;
  EXPECT_THAT(Solve(problem), IsOk());
  problem.predictions[4] = kNan;
  ExpectRefusal(problem, "predictions.data[4]", "nan", "finite");
  problem = Rows(params, RowRatios());
  std::fill_n(problem.predictions.begin() + 3, 3, -kInfinity);
  ExpectRefusal(problem, "predictions.data[3]", "-inf only", "possible");
  problem = Rows(params, RowRatios());
  problem.extras[0].numbers[1] = -900;
  ExpectRefusal(problem, "predictions.data[3]", "above old", "ratio");
  problem.extras[0].numbers[1] = kNan;
  ExpectRefusal(problem, "extra_inputs.old_log_probabilities.data[1]", "nan");
}

TEST(PolicyInputTest, LabelsMustBeClassesWhateverTheSemantics) {
  for (const Semantics semantics :
       {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
    for (const int64_t label : {3, -1, -100}) {
      Problem problem =
          Rows(ImportanceSamplingParams{.prediction_kind = kLogits},
               RowRatios(), semantics);
      problem.labels[1] = label;
      ExpectRefusal(problem, "targets.data[1]", std::to_string(label),
                    "0 to 2");
    }
  }
}

TEST(PolicyInputTest, TheKindSaysWhetherThereAreTargets) {
  Problem problem = Usual(PpoParams{});
  TestCall spoiled(problem, {});
  spoiled.inputs.targets = spoiled.inputs.predictions;
  EXPECT_THAT(spoiled.Run(), Violates("targets"));
  problem = Rows(PpoParams{.prediction_kind = kLogits}, RowRatios());
  TestCall missing(problem, {});
  missing.inputs.targets = {};
  EXPECT_THAT(missing.Run(), Violates("targets"));
}

TEST(PolicyInputTest, ExtraInputsAreRequired) {
  for (const LossParams& params :
       {LossParams(ImportanceSamplingParams{}), LossParams(PpoParams{}),
        LossParams(CispoParams{}), LossParams(DroParams{.beta = 1})}) {
    Problem problem = Usual(params);
    problem.extras.pop_back();
    ExpectRefusal(problem, "extra_inputs.advantages", "nothing");
  }
  ExpectRefusal(Elements(TokenCrossEntropyParams{}, kTokens, {}),
                "extra_inputs.weights", "nothing");
  ExpectRefusal(Elements(K3DivergenceParams{}, kTokens, {}),
                "extra_inputs.reference_log_probabilities", "nothing");
}

TEST(TokenCrossEntropyTest, AnImpossibleTokenWithoutWeightCostsNothing) {
  const Answer elements = MustSolve(Elements(
      TokenCrossEntropyParams{}, {-kInfinity, -1}, {{"weights", {0, 1}}}));
  EXPECT_EQ(elements.result.loss, 1);
  EXPECT_EQ(elements.gradient, Numbers({0, -1}));
  Problem rows = Rows(TokenCrossEntropyParams{.prediction_kind = kLogits},
                      {{"weights", {0, 1}}});
  rows.predictions[1] = -kInfinity;
  const Answer answer = MustSolve(rows);
  EXPECT_NEAR(answer.result.loss, 2.9676762154941723, 1e-15);
  for (size_t k = 0; k < 3; ++k) EXPECT_EQ(answer.gradient[k], 0);
  rows.extras[0].numbers[0] = 1;
  ExpectRefusal(rows, "predictions.data[1]", "-inf", "possible");
  rows.extras[0].numbers[0] = 0;
  rows.predictions[1] = kNan;
  ExpectRefusal(rows, "predictions.data[1]", "nan");
}

// Semantics.

TEST(PolicySemanticsTest, AreTheSameForGoodNumbers) {
  const Problem elements = Usual(PpoParams{});
  const Problem rows = Rows(PpoParams{.prediction_kind = kLogits}, RowRatios());
  for (const Problem& strict : {elements, rows}) {
    for (const Semantics semantics : {Semantics::kPytorch, Semantics::kKeras}) {
      Problem other = strict;
      other.spec.semantics = semantics;
      EXPECT_TRUE(SameBits(MustSolve(other), MustSolve(strict)));
    }
  }
}

TEST(PolicySemanticsTest, NanStaysInItsToken) {
  for (const LossParams& params :
       {LossParams(ImportanceSamplingParams{}), LossParams(PpoParams{}),
        LossParams(CispoParams{}), LossParams(DroParams{.beta = 1})}) {
    Problem problem = Usual(params);
    const Answer good = MustSolve(problem);
    problem.spec.semantics = Semantics::kPytorch;
    problem.predictions[0] = kNan;
    problem.extras[0].numbers[1] = kNan;
    problem.extras[1].numbers[2] = kNan;
    const Answer answer = MustSolve(problem);
    EXPECT_TRUE(std::isnan(answer.result.loss));
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(std::isnan(answer.gradient[i])) << i;
      EXPECT_TRUE(std::isnan(answer.row_losses[i])) << i;
    }
    EXPECT_EQ(answer.gradient[3], good.gradient[3]);
  }
}

TEST(PolicySemanticsTest, NanStaysInItsRow) {
  Problem problem = Rows(PpoParams{.prediction_kind = kLogits}, RowRatios());
  const Answer good = MustSolve(problem);
  problem.spec.semantics = Semantics::kKeras;
  problem.predictions[4] = kNan;
  const Answer answer = MustSolve(problem);
  EXPECT_EQ(answer.row_losses[0], good.row_losses[0]);
  EXPECT_TRUE(std::isnan(answer.row_losses[1]));
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_TRUE(i < 3 ? answer.gradient[i] == good.gradient[i]
                      : std::isnan(answer.gradient[i]))
        << i;
  }
}

// As torch.min and torch.clamp have it: a bound holds an infinite ratio.
TEST(PolicySemanticsTest, BoundsHoldInfiniteRatios) {
  const Answer ppo = MustSolve(One(PpoParams{}, 800, 2, Semantics::kPytorch));
  EXPECT_EQ(ppo.result.loss, -1.2 * 2);
  EXPECT_EQ(ppo.gradient[0], 0);
  const Answer sampling =
      MustSolve(One(ImportanceSamplingParams{}, 800, 2, Semantics::kPytorch));
  EXPECT_EQ(sampling.result.loss, -kInfinity);
  // inf times 0.
  const Answer nothing =
      MustSolve(One(PpoParams{}, 800, 0, Semantics::kPytorch));
  EXPECT_TRUE(std::isnan(nothing.result.loss));
}

}  // namespace
}  // namespace lossd::test
