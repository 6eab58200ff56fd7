// Losses that compare scores with a margin: worked values, edges, refusals,
// semantics and diagnostics.

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worked_values.h"

namespace lossd::test {
namespace {

using Numbers = std::vector<double>;
using testing::AllOf;
using testing::HasSubstr;

Problem Elements(LossParams params, Numbers predictions, Numbers targets,
                 Semantics semantics = Semantics::kStrict) {
  Problem problem;
  problem.spec.params = params;
  problem.spec.semantics = semantics;
  problem.shape = {static_cast<int64_t>(predictions.size())};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  return problem;
}

Problem Ranking(MarginRankingParams params, Numbers predictions, Numbers others,
                Numbers targets, Semantics semantics = Semantics::kStrict) {
  Problem problem =
      Elements(params, std::move(predictions), std::move(targets), semantics);
  problem.extras = {{"other_predictions", std::move(others)}};
  return problem;
}

// Rows of three scores with dense targets.
Problem Dense(Numbers predictions, Numbers targets,
              Semantics semantics = Semantics::kStrict) {
  Problem problem = Elements(CategoricalHingeParams{}, std::move(predictions),
                             std::move(targets), semantics);
  problem.shape = {problem.shape[0] / 3, 3};
  return problem;
}

// Rows of three scores with labels.
Problem Labelled(LossParams params, Numbers predictions,
                 std::vector<int64_t> labels,
                 Semantics semantics = Semantics::kStrict) {
  Problem problem = Elements(params, std::move(predictions), {}, semantics);
  problem.shape = {problem.shape[0] / 3, 3};
  problem.labels = std::move(labels);
  return problem;
}

Answer RowsOf(Problem problem) {
  problem.spec.reduction = Reduction::kNone;
  return MustSolve(problem, {.diagnostics = true});
}

const Numbers kScores = {0.3, -1.5, 2, -0.4};
const Numbers kSigns = {1, -1, 1, 1};
const Numbers kThree = {0.2, 0.9, -0.4, 1.5, -0.3, 0.1};
const Numbers kHot = {1, 0, 0, 1, 0, 0};

struct Worked {
  Problem problem;
  double loss;
  Numbers gradient;
};

TEST(MarginTest, WorkedValues) {
  const Worked all[] = {
      {Elements(SquaredHingeParams{}, kScores, kSigns),
       0.6124999999999999,
       {-0.35, 0, 0, -0.7}},
      {Elements(SoftMarginParams{}, kScores, kSigns),
       0.44892794647355116,
       {-0.10638937079708526, 0.04560638095158908, -0.029800730505529387,
        -0.14967191502811303}},
      {Dense(kThree, kHot), 0.85, {-0.5, 0.5, 0, 0, 0, 0}},
      {Labelled(MultiMarginParams{}, kThree, {0, 0}),
       0.35000000000000003,
       {-0.3333333333333333, 0.16666666666666666, 0.16666666666666666, 0, 0,
        0}},
      {Labelled(MulticlassHingeParams{}, kThree, {0, 0}),
       0.85,
       {-0.5, 0.5, 0, 0, 0, 0}},
      {Elements(HingeEmbeddingParams{}, {0.5, 0.2, 3}, {1, -1, -1}),
       1.3 / 3,
       {1.0 / 3, -1.0 / 3, 0}},
      {Ranking({.margin = 0.5}, {2, 0.5, 1}, {1, 1.5, 0.75}, {1, 1, -1}),
       0.75,
       {0, -1.0 / 3, 1.0 / 3}}};
  for (const Worked& worked : all) {
    SCOPED_TRACE(worked.problem.spec.params.index());
    const Answer answer = MustSolve(worked.problem);
    ExpectWorked({answer.result.loss}, {worked.loss});
    ExpectWorked(answer.gradient, worked.gradient);
  }
}

// A kink's active side for hinges; slope 0 for multi_margin's.
TEST(MarginTest, Kinks) {
  EXPECT_EQ(RowsOf(Elements(SquaredHingeParams{}, {1}, {1})).gradient,
            Numbers({0}));
  EXPECT_EQ(RowsOf(Elements(HingeEmbeddingParams{.margin = 0.1}, {0.1}, {-1}))
                .gradient,
            Numbers({-1}));
  const Answer ranking = RowsOf(Ranking({}, {1, 1}, {1, 1}, {1, -1}));
  EXPECT_EQ(ranking.gradient, Numbers({-1, 1}));
  EXPECT_EQ(ranking.extra_gradients.at("other_predictions"), Numbers({1, -1}));
  EXPECT_EQ(RowsOf(Labelled(MultiMarginParams{}, {1, 0, -1}, {0})).gradient,
            Numbers({0, 0, 0}));
  // The label is one of two equal maxima.
  EXPECT_EQ(RowsOf(Labelled(MulticlassHingeParams{}, {1, 0, -1}, {0})).gradient,
            Numbers({-0.5, 0.5, 0}));
  // The target's 0 is no maximum here; m = 0.5.
  EXPECT_EQ(RowsOf(Dense({1.5, 0.5, -1}, {1, 0, 0})).gradient,
            Numbers({-1, 1, 0}));
}

TEST(MarginTest, TiesShareTheirSlopeEvenly) {
  EXPECT_EQ(
      RowsOf(Labelled(MulticlassHingeParams{}, {2, 2, 0.5}, {2})).gradient,
      Numbers({0.5, 0.5, -1}));
  EXPECT_EQ(RowsOf(Dense({2, 2, 0.5}, {0, 0, 1})).gradient,
            Numbers({0.5, 0.5, -1}));
  // The target's own 0 ties with another score of 0: shares of (1 - t).
  EXPECT_EQ(RowsOf(Dense({-1, 0, -3}, {1, 0, 0})).gradient,
            Numbers({-1, 0.5, 0}));
  // Many, in every vector.
  Problem wide;
  wide.spec.params = MulticlassHingeParams{};
  wide.shape = {1, 65};
  wide.predictions.assign(65, 3);
  wide.labels = {17};
  const Answer answer = MustSolve(wide);
  EXPECT_EQ(answer.result.loss, 1);
  for (size_t k = 0; k < 65; ++k) {
    EXPECT_EQ(answer.gradient[k], k == 17 ? -1 : 1.0 / 64) << k;
  }
}

TEST(MarginTest, OneClassIsAlwaysRight) {
  for (const LossParams& params :
       {LossParams(MulticlassHingeParams{}), LossParams(MultiMarginParams{})}) {
    Problem problem = Elements(params, {-7}, {});
    problem.shape = {1, 1};
    problem.labels = {0};
    const Answer answer = MustSolve(problem);
    EXPECT_EQ(answer.result.loss, 0);
    EXPECT_TRUE(answer.gradient[0] == 0 && !std::signbit(answer.gradient[0]));
  }
}

// The margin is no float: differences with it must not be rounded to 0.
TEST(MarginTest, Float32SeesWhichSideOfTheMarginItIsOn) {
  const float margin = 0.1F;
  const double beyond = 0.1 - static_cast<double>(margin);  // -1.49e-9
  ASSERT_LT(beyond, 0);
  const Form form{.dtype = Dtype::kFloat32};
  const Answer embedding = MustSolve(
      Elements(HingeEmbeddingParams{.margin = 0.1}, {margin}, {-1}), form);
  EXPECT_EQ(embedding.result.loss, 0);
  EXPECT_EQ(embedding.gradient, Numbers({0}));
  // 1 + 2^-23 - 2^-25 rounds to a difference that is missed by 2^-25.
  const Answer ranking = MustSolve(
      Ranking({.margin = 1 + 0x1p-23}, {1 + 0x1p-23}, {0x1p-25}, {1}), form);
  EXPECT_EQ(ranking.result.loss, 0x1p-25);
  const Answer multi = MustSolve(
      Labelled(MultiMarginParams{.margin = 1}, {1 + 0x1p-23, 0x1p-25, -9}, {0}),
      form);
  EXPECT_EQ(multi.result.loss, 0);
  EXPECT_EQ(multi.gradient, Numbers({0, 0, 0}));
}

// The margin is what is left of large scores.
TEST(MarginTest, MarginsKeepTheirDigitsBesideLargeScores) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const double margin =
        dtype == Dtype::kFloat32 ? static_cast<double>(0.01f) : 0.01;
    const Answer answer = MustSolve(
        Labelled(MultiMarginParams{.margin = margin}, {1e8, 1e8, -1e8}, {0}),
        {.dtype = dtype});
    EXPECT_DOUBLE_EQ(answer.result.loss, margin / 3);
  }
}

// E1, of labels -1 and +1. PyTorch 1.13 gives inf at -1000.
TEST(MarginTest, SoftMarginSaturates) {
  const Answer answer =
      RowsOf(Elements(SoftMarginParams{}, {1000, 1000, -1000}, {1, -1, 1}));
  EXPECT_EQ(answer.row_losses, Numbers({0, 1000, 1000}));
  EXPECT_EQ(answer.gradient, Numbers({0, 1, -1}));
}

TEST(SemanticsTest, KerasReadsZeroAsMinusOneForSquaredHingeOnly) {
  const Answer squared = RowsOf(Elements(SquaredHingeParams{}, {0.5, 0.5, 0.5},
                                         {0, -1, 1}, Semantics::kKeras));
  EXPECT_EQ(squared.row_losses, Numbers({2.25, 2.25, 0.25}));
  EXPECT_EQ(squared.gradient, Numbers({3, 3, -1}));
  // Not in PyTorch, which has no such loss: y = 0 is computed with.
  EXPECT_EQ(
      RowsOf(Elements(SquaredHingeParams{}, {0.5}, {0}, Semantics::kPytorch))
          .row_losses,
      Numbers({1}));
  EXPECT_EQ(RowsOf(Elements(SoftMarginParams{}, {0.5}, {0}, Semantics::kKeras))
                .gradient,
            Numbers({0}));
}

// torch 1.13, float64.
TEST(SemanticsTest, PytorchHingeEmbeddingHasBothTermsForOtherTargets) {
  const Answer answer =
      RowsOf(Elements(HingeEmbeddingParams{}, {0.5, 0.2, 3, 1, 0.3, -0.2},
                      {1, -1, -1, -1, 0, 1}, Semantics::kPytorch));
  EXPECT_EQ(answer.row_losses, Numbers({0.5, 0.8, 0, 0, 1, -0.2}));
  EXPECT_EQ(answer.gradient, Numbers({1, -1, 0, -1, 0, 1}));
}

// torch 1.13, float64: the mean divides by rows, not by class weights.
TEST(SemanticsTest, PytorchMultiMargin) {
  const Numbers scores = {0.2, 0.9, -0.4, 1.5, 0.5, 0.1};
  Problem problem =
      Labelled(MultiMarginParams{}, scores, {0, 1}, Semantics::kPytorch);
  problem.class_weights = {0.5, 2, 1};
  const Answer linear = MustSolve(problem);
  ExpectWorked({linear.result.loss}, {1.04166666666666674});
  ExpectWorked(linear.gradient, {-0.16666666666666666, 0.08333333333333333,
                                 0.08333333333333333, 0.33333333333333331,
                                 -0.66666666666666663, 0.33333333333333331});
  problem.spec.params = MultiMarginParams{.p = 2};
  const Answer squared = MustSolve(problem);
  ExpectWorked({squared.result.loss}, {1.70750000000000002});
  ExpectWorked(squared.gradient, {-0.34999999999999998, 0.28333333333333333,
                                  0.06666666666666667, 1.33333333333333326,
                                  -1.73333333333333317, 0.39999999999999997});
  problem.class_weights = {};
  problem.spec.params = MultiMarginParams{.p = 2, .margin = -0.5};
  const Answer negative = MustSolve(problem);
  ExpectWorked({negative.result.loss}, {0.04833333333333334});
  ExpectWorked(negative.gradient,
               {-0.06666666666666668, 0.06666666666666668, 0,
                0.16666666666666666, -0.16666666666666666, 0});
}

TEST(SemanticsTest, NotANumberPropagates) {
  for (const Semantics semantics : {Semantics::kPytorch, Semantics::kKeras}) {
    const Problem problems[] = {
        Elements(SquaredHingeParams{}, {kNan, 3}, {1, 1}, semantics),
        Elements(SoftMarginParams{}, {kNan, 3}, {1, 1}, semantics),
        Elements(HingeEmbeddingParams{}, {kNan, 3}, {-1, 1}, semantics),
        Ranking({}, {kNan, 3}, {0, 0}, {1, 1}, semantics),
        Ranking({}, {0, 3}, {kNan, 0}, {1, 1}, semantics),
        Dense({0, kNan, 5, 1, 2, 3}, kHot, semantics),
        Labelled(MultiMarginParams{}, {0, 5, kNan, 1, 2, 3}, {0, 0}, semantics),
        Labelled(MulticlassHingeParams{}, {0, 5, kNan, 1, 2, 3}, {0, 0},
                 semantics)};
    for (const Problem& problem : problems) {
      SCOPED_TRACE(problem.spec.params.index());
      const Answer answer = RowsOf(problem);
      const size_t half = answer.gradient.size() / 2;
      EXPECT_TRUE(std::isnan(answer.row_losses[0]));
      EXPECT_FALSE(std::isnan(answer.row_losses[1]));
      for (size_t i = 0; i < answer.gradient.size(); ++i) {
        EXPECT_EQ(std::isnan(answer.gradient[i]), i < half) << i;
      }
    }
  }
}

TEST(SemanticsTest, InfinityIsComputedWith) {
  const auto row_losses = [](const Problem& problem) {
    return RowsOf(problem).row_losses;
  };
  const auto keras = Semantics::kKeras;
  EXPECT_EQ(row_losses(Elements(SquaredHingeParams{}, {kInfinity, -kInfinity},
                                {1, 1}, keras)),
            Numbers({0, kInfinity}));
  EXPECT_EQ(row_losses(Elements(SoftMarginParams{}, {kInfinity, -kInfinity},
                                {1, 1}, keras)),
            Numbers({0, kInfinity}));
  EXPECT_EQ(row_losses(Elements(HingeEmbeddingParams{}, {kInfinity, kInfinity},
                                {-1, 1}, keras)),
            Numbers({0, kInfinity}));
  EXPECT_EQ(
      row_losses(Ranking({}, {kInfinity, -kInfinity}, {0, 0}, {1, 1}, keras)),
      Numbers({0, kInfinity}));
  EXPECT_EQ(
      row_losses(Labelled(MultiMarginParams{},
                          {kInfinity, 0, 0, 0, kInfinity, 0}, {0, 0}, keras)),
      Numbers({0, kInfinity}));
  EXPECT_EQ(row_losses(Labelled(MulticlassHingeParams{},
                                {0, -kInfinity, -kInfinity, 0, kInfinity, 0},
                                {0, 0}, keras)),
            Numbers({0, kInfinity}));
  // 0 times infinity, in the target's own term.
  EXPECT_TRUE(
      std::isnan(row_losses(Dense({kInfinity, 0, 0}, {1, 0, 0}, keras))[0]));
}

TEST(MarginBadInputTest, IsRefused) {
  struct Bad {
    Problem problem;
    std::string field;
    std::string got;
    std::string allowed;
  };
  Problem half_other =
      Ranking({}, {0, 0}, {0, kInfinity}, {1, -1}, Semantics::kStrict);
  Problem no_other = Elements(MarginRankingParams{}, {0, 0}, {1, -1});
  Problem weights = Labelled(MultiMarginParams{}, kThree, {0, 0});
  weights.class_weights = {1, -1, 1};
  const Bad all[] = {
      {Elements(SquaredHingeParams{}, {0, 0}, {1, 0}), "targets.data[1]", "0",
       "-1 or +1; for 0 and 1 set the option label_encoding to ZERO_ONE"},
      {Elements(SquaredHingeParams{}, {5, kInfinity}, {1, 1}),
       "predictions.data[1]", "inf", "finite numbers"},
      {Elements(SoftMarginParams{.label_encoding = LabelEncoding::kZeroOne},
                {0}, {-1}),
       "targets.data[0]", "-1", "0 or 1"},
      {Elements(SoftMarginParams{}, {kInfinity}, {1}), "predictions.data[0]",
       "inf", "finite numbers"},
      {Elements(HingeEmbeddingParams{}, {0, 0}, {1, 0.5}), "targets.data[1]",
       "0.5", "-1 or +1"},
      {Elements(HingeEmbeddingParams{}, {0, kInfinity}, {1, -1}),
       "predictions.data[1]", "inf", "finite numbers"},
      {Elements(HingeEmbeddingParams{.margin = kNan}, {0}, {1}),
       "options.margin", "nan", "finite numbers"},
      {Ranking({}, {0, 0}, {0, 0}, {1, 2}), "targets.data[1]", "2", "-1 or +1"},
      {Ranking({}, {0, kInfinity}, {0, 0}, {1, 1}), "predictions.data[1]",
       "inf", "finite numbers"},
      {half_other, "extra_inputs.other_predictions.data[1]", "inf",
       "finite numbers"},
      {no_other, "extra_inputs.other_predictions", "nothing", "a tensor"},
      {Ranking({.margin = kInfinity}, {0}, {0}, {1}), "options.margin", "inf",
       "finite numbers"},
      {Dense(kThree, {1, 0, 0, 1, 1.5, 0}), "targets.data[4]", "1.5",
       "in [0, 1]"},
      {Dense(kThree, {1, 0, -0.5, 1, 0, 0}), "targets.data[2]", "-0.5",
       "in [0, 1]"},
      {Dense({0, 0, 0, 0, -kInfinity, 0}, kHot), "predictions.data[4]", "-inf",
       "finite numbers"},
      {Labelled(MulticlassHingeParams{}, {0, 0, 0, 0, -kInfinity, 0}, {0, 0}),
       "predictions.data[4]", "-inf", "finite numbers"},
      {Labelled(MultiMarginParams{.p = 3}, kThree, {0, 0}), "options.p", "3",
       "in [1, 2]"},
      {Labelled(MultiMarginParams{}, {0, kNan, 0}, {0}), "predictions.data[1]",
       "nan", "finite numbers"},
      {weights, "extra_inputs.class_weights.data[1]", "-1", "finite and >= 0"}};
  for (const Bad& bad : all) {
    SCOPED_TRACE(bad.field + " of loss " +
                 std::to_string(bad.problem.spec.params.index()));
    const absl::StatusOr<Answer> answer = Solve(bad.problem);
    EXPECT_THAT(answer, Violates(bad.field));
    EXPECT_THAT(std::string(answer.status().message()),
                AllOf(HasSubstr("got " + bad.got), HasSubstr(bad.allowed)));
  }
}

TEST(MarginBadInputTest, LabelsThatAreNoClassAreRefusedUnderEverySemantics) {
  for (const Semantics semantics :
       {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
    for (const LossParams& params : {LossParams(MulticlassHingeParams{}),
                                     LossParams(MultiMarginParams{})}) {
      for (const int64_t label : {int64_t{-1}, int64_t{3}, int64_t{-100},
                                  std::numeric_limits<int64_t>::min()}) {
        Problem problem = Labelled(params, kThree, {0, label}, semantics);
        const absl::StatusOr<Answer> answer = Solve(problem);
        EXPECT_THAT(answer, Violates("targets.data[1]"));
        EXPECT_THAT(std::string(answer.status().message()),
                    AllOf(HasSubstr("label " + std::to_string(label)),
                          HasSubstr("0 to 2 for 3 classes")));
        // A masked row may contain anything.
        problem.mask = {1, 0};
        EXPECT_THAT(Solve(problem), IsOk());
      }
    }
  }
}

TEST(MarginBadInputTest, OverflowIsRefused) {
  const Form form{.dtype = Dtype::kFloat32};
  EXPECT_THAT(Solve(Elements(SquaredHingeParams{}, {-1e30}, {1}), form),
              Violates("predictions.data[0]"));
  EXPECT_THAT(Solve(Labelled(MultiMarginParams{}, {-3e38, 3e38, 0}, {0}), form),
              Violates("predictions.data[0]"));
  // A square that only float32 could not hold.
  const Answer squared = MustSolve(
      Labelled(MultiMarginParams{.p = 2}, {0, 0x1p100, -9}, {0}), form);
  EXPECT_EQ(squared.result.loss, 0x1p200 / 3);
  // The gradient's factor, with a loss that fits.
  Problem problem = Labelled(MulticlassHingeParams{}, {0, 1, 0}, {0});
  problem.sample_weights = {1e300};
  problem.upstream_gradient = {1e300};
  EXPECT_THAT(Solve(problem), Violates("predictions.data[0]"));
}

TEST(MarginDiagnosticsTest, AccuracyIsTheShareOnTheRightSide) {
  EXPECT_EQ(Figure(RowsOf(Elements(SquaredHingeParams{}, kScores, kSigns)),
                   "accuracy"),
            0.75);
  EXPECT_EQ(
      Figure(RowsOf(Elements(SoftMarginParams{}, kScores, kSigns)), "accuracy"),
      0.75);
  // A score of 0 has no sign.
  EXPECT_EQ(
      Figure(RowsOf(Elements(SoftMarginParams{}, {0, 1}, {1, 1})), "accuracy"),
      0.5);
  EXPECT_EQ(Figure(RowsOf(Dense(kThree, kHot)), "accuracy"), 0.5);
  EXPECT_EQ(
      Figure(RowsOf(Labelled(MultiMarginParams{}, kThree, {1, 0})), "accuracy"),
      1);
  EXPECT_EQ(Figure(RowsOf(Labelled(MulticlassHingeParams{}, kThree, {0, 0})),
                   "accuracy"),
            0.5);
  // The first of equal scores is the prediction.
  EXPECT_EQ(Figure(RowsOf(Labelled(MulticlassHingeParams{}, {1, 1, 0, 1, 1, 0},
                                   {0, 1})),
                   "accuracy"),
            0.5);
}

}  // namespace
}  // namespace lossd::test
