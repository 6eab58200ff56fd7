// cosine, cosine_embedding and triplet: worked values, edges, semantics and
// what is refused.

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

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Problem RowsOfThree(LossParams params, std::vector<double> predictions) {
  Problem problem;
  problem.spec.params = std::move(params);
  problem.shape = {static_cast<int64_t>(predictions.size() / 3), 3};
  problem.predictions = std::move(predictions);
  return problem;
}

Problem CosineOf(std::vector<double> predictions, std::vector<double> targets) {
  Problem problem = RowsOfThree(CosineParams{}, std::move(predictions));
  problem.targets = std::move(targets);
  return problem;
}

const std::vector<double> kVectors = {1, 2, -1, 0.5, -0.5, 1};
const std::vector<double> kDirections = {2, 1, 0, 1, 1, 1};

TEST(CosineTest, IsTheWorkedValue) {
  const Answer answer = MustSolve(CosineOf(kVectors, kDirections));
  ExpectWorked({answer.result.loss}, {0.3991493679343734});
  ExpectWorked(answer.gradient, {-0.12171612389003689, 0.03042903097250925,
                                 -0.060858061945018464, -0.15713484026367724,
                                 -0.3142696805273545, -0.0785674201318386});
}

// E15
TEST(CosineTest, VectorOfZerosHasCosineAndGradientZero) {
  for (const Semantics semantics :
       {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
    Problem problem = CosineOf({0, 0, 0}, {1, 2, 3});
    problem.spec.semantics = semantics;
    const Answer answer = MustSolve(problem);
    EXPECT_EQ(answer.result.loss, semantics == Semantics::kKeras ? 0 : 1);
    EXPECT_EQ(answer.gradient, std::vector<double>({0, 0, 0}));
  }
  const Answer answer = MustSolve(CosineOf({1, 2, 3}, {0, 0, 0}));
  EXPECT_EQ(answer.result.loss, 1);
  EXPECT_EQ(answer.gradient, std::vector<double>({0, 0, 0}));
}

// The tangent of the angle is 1e-7, and 1 - c by itself would have two digits.
// The next terms of both series are 1e-14 times as large.
TEST(CosineTest, SmallAnglesKeepTheirDigits) {
  const Answer answer = MustSolve(CosineOf({1, 1e-7, 0}, {3, 0, 0}));
  EXPECT_NEAR(answer.result.loss / 0.5e-14, 1, 2e-14);
  EXPECT_NEAR(answer.gradient[1] / 1e-7, 1, 2e-14);
}

// keras.losses.CosineSimilarity's formula: vectors over their lengths, which
// are at least 1e-7.
TEST(CosineTest, KerasIsMinusTheCosine) {
  Problem problem = CosineOf({1, 2, -1, 0.5, -0.5, 1, 3e-8, 4e-8, 0},
                             {2, 1, 0, 1, 1, 1, 0, 2, 0});
  problem.spec.semantics = Semantics::kKeras;
  problem.spec.reduction = Reduction::kSum;
  const Answer answer = MustSolve(problem);
  ExpectWorked(answer.row_losses,
               {-0.7302967433402215, -0.4714045207910318, -0.4});
  ExpectWorked(answer.gradient,
               {-0.24343224778007383, 0.06085806194501853, -0.12171612389003696,
                -0.3142696805273545, -0.6285393610547092, -0.1571348402636772,
                0, -1e7, 0});
}

TEST(CosineTest, EpsilonIsTheFloorOfSquares) {
  Problem problem = CosineOf({0.3, 0.4, 0}, {0, 2, 0});
  problem.spec.params = CosineParams{.epsilon = 1};
  const Answer answer = MustSolve(problem);
  // The squared length of 0.25 counts as 1, whatever the vector.
  ExpectWorked({answer.result.loss}, {1 - 0.4});
  ExpectWorked(answer.gradient, {0, -1, 0});
}

Problem PairsOf(CosineEmbeddingParams params, std::vector<double> predictions,
                std::vector<double> others, std::vector<double> labels) {
  Problem problem;
  problem.spec.params = params;
  problem.spec.reduction = Reduction::kNone;
  problem.shape = {static_cast<int64_t>(labels.size()), 2};
  problem.predictions = std::move(predictions);
  problem.extras = {{"other_predictions", std::move(others)}};
  problem.targets = std::move(labels);
  return problem;
}

TEST(CosineEmbeddingTest, IsTheWorkedValue) {
  const Answer answer = MustSolve(PairsOf({.margin = 0.5}, {1, 0, 3, 4, 3, 4},
                                          {0, 1, 4, 3, 4, -3}, {1, -1, -1}));
  ExpectWorked(answer.row_losses, {1, 0.46, 0});
  ExpectWorked(answer.gradient, {0, -1, 0.0448, -0.0336, 0, 0});
  ExpectWorked(answer.extra_gradients.at("other_predictions"),
               {-1, 0, -0.0336, 0.0448, 0, 0});
}

// c = margin = 0.
TEST(CosineEmbeddingTest, KinkHasTheSlopeOfTheActiveSide) {
  const Answer answer = MustSolve(PairsOf({}, {1, 0}, {0, 2}, {-1}));
  EXPECT_EQ(answer.row_losses, std::vector<double>({0}));
  EXPECT_EQ(answer.gradient, std::vector<double>({0, 1}));
}

TEST(CosineEmbeddingTest, VectorOfZerosHasGradientZero) {
  const Answer answer = MustSolve(PairsOf({}, {0, 0}, {1, 2}, {1}));
  EXPECT_EQ(answer.row_losses, std::vector<double>({1}));
  EXPECT_EQ(answer.gradient, std::vector<double>({0, 0}));
}

// torch.nn.functional.cosine_embedding_loss in float64, which adds the float
// 1e-12 to the squares of lengths.
TEST(CosineEmbeddingTest, PytorchAddsToTheSquares) {
  Problem problem = PairsOf({.margin = 0.5}, {1, 0, 3, 4, 0, 0, 1e-7, 2e-7},
                            {0, 1, 4, 3, 1, 2, 2, 1}, {1, -1, 1, 1});
  problem.spec.semantics = Semantics::kPytorch;
  const Answer answer = MustSolve(problem);
  ExpectWorked(answer.row_losses,
               {1, 0.45999999999996166, 1, 0.82542568747905});
  ExpectWorked(answer.gradient,
               {0, -0.9999999999989999, 0.04480000000000284,
                -0.0335999999999925, -447213.5963934019, -894427.1927868038,
                -856245.4375394838, -403183.53117184225});
  ExpectWorked(
      answer.extra_gradients.at("other_predictions"),
      {-0.9999999999989999, 0, -0.0335999999999925, 0.04480000000000284, 0, 0,
       0.02618614687812855, -0.05237229375629198});
  // Neither label.
  problem.targets = {0.5, 0, 2, -2};
  EXPECT_EQ(MustSolve(problem).row_losses, std::vector<double>({0, 0, 0, 0}));
}

Problem TripletOf(TripletParams params) {
  Problem problem = RowsOfThree(params, {0, 1, 2, 0.3, -0.2, 0.9});
  problem.extras = {{"positive", {0.5, 1, 1, 1.1, 0.4, -0.3}},
                    {"negative", {1, 0, 1, 1.0, 0.6, -0.2}}};
  return problem;
}

TEST(TripletTest, IsTheWorkedValue) {
  Problem problem;
  problem.spec.params = TripletParams{.epsilon = 0};
  problem.shape = {1, 3};
  problem.predictions = {0, 1, 2};
  problem.extras = {{"positive", {0.5, 1, 1}}, {"negative", {1, 0, 1}}};
  const Answer answer = MustSolve(problem);
  ExpectWorked({answer.result.loss}, {0.3859831811810177});
  ExpectWorked(answer.gradient,
               {0.13013667368966791, -0.5773502691896258, 0.31707692181029});
}

struct TorchTriplet {
  double p;
  bool swap;
  double loss;
  std::vector<double> anchor;
  std::vector<double> positive;
  std::vector<double> negative;
};

// torch.nn.functional.triplet_margin_loss of TripletOf in float64.
TEST(TripletTest, EqualsTorch) {
  for (const TorchTriplet& torch : {
           TorchTriplet{1,
                        false,
                        0.5,
                        {0, 0, 0, 0, 0, 0},
                        {0, 0, 0, 0.5, 0.5, -0.5},
                        {0, 0, 0, -0.5, -0.5, 0.5}},
           TorchTriplet{
               2,
               false,
               0.7091636327998091,
               {0.06506848860100481, -0.28867487983129353, 0.15853853678279684,
                -0.027271590850786676, 0.06943288247340121,
                0.02456435530085954},
               {0.2236062610936286, -4.472134166140904e-07, -0.447213863827507,
                0.25607346076306353, 0.19205501554924112, -0.38411099137516036},
               {-0.2886747496946334, 0.28867532704471016, 0.28867532704471016,
                -0.22880186991227686, -0.26148789802264233,
                0.3595466360743008}},
           TorchTriplet{
               2,
               true,
               1.6585508246794527,
               {-0.2236062610936286, 4.472134166140904e-07, 0.447213863827507,
                -0.25607346076306353, -0.19205501554924112,
                0.38411099137516036},
               {0.4472125221872572, -0.44721431104092363, -0.44721431104092363,
                0.051946593870759006, 0.6003026255890803, -0.17998820697936896},
               {-0.2236062610936286, 0.447213863827507, 4.472134166140904e-07,
                0.20412686689230453, -0.4082476100398392, -0.2041227843957914}},
           TorchTriplet{
               3,
               false,
               0.8245826733599515,
               {0.12481469131330583, -0.24037524888358305, 0.2218659088426351,
                -0.030335032247539667, 0.09110097503060333,
                0.03634254560007699},
               {0.11555959607166694, -4.622402332457516e-13,
                -0.4622411577266804, 0.1757909427904797, 0.09888232291755458,
                -0.3955312693224446},
               {-0.24037428738497277, 0.2403752488840453, 0.2403752488840453,
                -0.14545591054294002, -0.1899832979481579, 0.3591887237223676}},
           TorchTriplet{
               1.5,
               true,
               1.7769019233984047,
               {-0.3196166496560108, 0.00045200665271065914,
                0.45200687871392903, -0.3297369105679469, -0.2855604816253796,
                0.40384401079731314},
               {0.6392332993120216, -0.4524588853666397, -0.4524588853666397,
                0.03391006351103648, 0.7039196831493999, -0.10802012199408223},
               {-0.3196166496560108, 0.45200687871392903,
                0.00045200665271065914, 0.2958268470569104,
                -0.41835920152402023, -0.2958238888032309}},
       }) {
    SCOPED_TRACE(testing::Message()
                 << "p " << torch.p << ", swap " << torch.swap);
    for (const Semantics semantics :
         {Semantics::kStrict, Semantics::kPytorch}) {
      Problem problem = TripletOf({.p = torch.p, .swap = torch.swap});
      problem.spec.semantics = semantics;
      const Answer answer = MustSolve(problem);
      ExpectWorked({answer.result.loss}, {torch.loss});
      ExpectWorked(answer.gradient, torch.anchor);
      ExpectWorked(answer.extra_gradients.at("positive"), torch.positive);
      ExpectWorked(answer.extra_gradients.at("negative"), torch.negative);
    }
  }
}

Problem TripletRow(TripletParams params, std::vector<double> anchor,
                   std::vector<double> positive, std::vector<double> negative) {
  Problem problem;
  problem.spec.params = params;
  problem.shape = {1, 2};
  problem.predictions = std::move(anchor);
  problem.extras = {{"positive", std::move(positive)},
                    {"negative", std::move(negative)}};
  return problem;
}

// 5 - 6 + 1; torch gives the same slopes.
TEST(TripletTest, KinkHasTheSlopeOfTheActiveSide) {
  const Answer answer =
      MustSolve(TripletRow({.epsilon = 0}, {0, 0}, {3, 4}, {0, 6}));
  EXPECT_EQ(answer.result.loss, 0);
  ExpectWorked(answer.gradient, {-0.6, 0.2});
}

// Both distances to the negative are sqrt 2: torch gives these halves.
TEST(TripletTest, SwapOfEqualDistancesSplitsTheSlope) {
  const Answer answer = MustSolve(
      TripletRow({.epsilon = 0, .swap = true}, {0, 0}, {2, 0}, {1, 1}));
  ExpectWorked({answer.result.loss}, {1.5857864376269049});
  ExpectWorked(answer.gradient, {-0.64644660940672627, 0.35355339059327373});
  ExpectWorked(answer.extra_gradients.at("positive"),
               {0.64644660940672627, 0.35355339059327373});
  ExpectWorked(answer.extra_gradients.at("negative"),
               {0, -0.70710678118654746});
}

TEST(TripletTest, ZeroDistanceHasNoSlope) {
  for (const double p : {1.0, 2.0, 3.0}) {
    const Answer answer =
        MustSolve(TripletRow({.p = p, .epsilon = 0}, {1, 2}, {1, 2}, {1.5, 2}));
    EXPECT_EQ(answer.result.loss, 0.5);
    EXPECT_EQ(answer.gradient, std::vector<double>({1, 0}));
    EXPECT_EQ(answer.extra_gradients.at("positive"),
              std::vector<double>({0, 0}));
  }
}

// The distances' powers overflow, the distances do not.
TEST(TripletTest, HighNormsDoNotOverflow) {
  const Answer answer = MustSolve(
      TripletRow({.p = 200, .epsilon = 0}, {0, 0}, {1e5, 1e5}, {1e-5, 0}));
  ExpectWorked({answer.result.loss}, {1e5 * std::pow(2, 1 / 200.0) + 1 - 1e-5});
}

TEST(SimilarityBadInputTest, NamesFieldAndElement) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    EXPECT_THAT(Solve(CosineOf({1, 2, 3, 4, bad, 6}, kDirections)),
                Violates("predictions.data[4]"));
    EXPECT_THAT(Solve(CosineOf(kVectors, {1, 2, bad, 4, 5, 6})),
                Violates("targets.data[2]"));
    EXPECT_THAT(Solve(PairsOf({}, {1, bad}, {1, 1}, {1})),
                Violates("predictions.data[1]"));
    EXPECT_THAT(Solve(PairsOf({}, {1, 1, 1, 1}, {1, 1, bad, 1}, {1, 1})),
                Violates("extra_inputs.other_predictions.data[2]"));
    // Far from the margin all the same.
    EXPECT_THAT(Solve(PairsOf({.margin = 1}, {1, bad}, {1, 1}, {-1})),
                Violates("predictions.data[1]"));
    Problem triplet = TripletOf({});
    triplet.predictions[3] = bad;
    EXPECT_THAT(Solve(triplet), Violates("predictions.data[3]"));
    triplet = TripletOf({.p = 3});
    triplet.extras[0].numbers[5] = bad;
    EXPECT_THAT(Solve(triplet), Violates("extra_inputs.positive.data[5]"));
    triplet = TripletOf({.p = 1});
    triplet.extras[1].numbers[1] = bad;
    EXPECT_THAT(Solve(triplet), Violates("extra_inputs.negative.data[1]"));
  }
  const auto label = Solve(PairsOf({}, {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 0}));
  EXPECT_THAT(label, Violates("targets.data[1]"));
  EXPECT_THAT(label.status().ToString(), HasSubstr("-1 or +1"));
  // Squares overflow.
  EXPECT_THAT(Solve(PairsOf({.margin = 1}, {1e200, 1}, {1, 1}, {-1})),
              Violates("predictions.data[0]"));
}

TEST(SimilarityBadInputTest, NamesOptionsAndInputs) {
  Problem cosine = CosineOf(kVectors, kDirections);
  cosine.spec.params = CosineParams{.epsilon = 0};
  EXPECT_THAT(Solve(cosine), Violates("options.epsilon"));
  for (const double margin : {-1.5, 1.5, kNan}) {
    EXPECT_THAT(Solve(PairsOf({.margin = margin}, {1, 1}, {1, 1}, {1})),
                Violates("options.margin"));
  }
  EXPECT_THAT(Solve(TripletOf({.margin = -1})), Violates("options.margin"));
  EXPECT_THAT(Solve(TripletOf({.p = 0.5})), Violates("options.p"));
  EXPECT_THAT(Solve(TripletOf({.p = kInfinity})), Violates("options.p"));
  EXPECT_THAT(Solve(TripletOf({.epsilon = -1})), Violates("options.epsilon"));
  Problem triplet = TripletOf({});
  triplet.extras.pop_back();
  EXPECT_THAT(Solve(triplet), Violates("extra_inputs.negative"));
  Problem pairs = PairsOf({}, {1, 1}, {1, 1}, {1});
  pairs.extras.clear();
  EXPECT_THAT(Solve(pairs), Violates("extra_inputs.other_predictions"));
  TestCall targets(TripletOf({}), {});
  targets.inputs.targets = targets.inputs.predictions;
  EXPECT_THAT(targets.Run(), Violates("targets"));
}

TEST(SimilarityPropagationTest, NanStaysInItsRow) {
  Problem triplet = TripletOf({.margin = 0, .p = 3});
  triplet.spec.semantics = Semantics::kPytorch;
  triplet.spec.reduction = Reduction::kSum;
  const Answer clean = MustSolve(triplet);
  triplet.extras[1].numbers[0] = kNan;
  const Answer answer = MustSolve(triplet);
  EXPECT_TRUE(std::isnan(answer.row_losses[0]));
  EXPECT_EQ(answer.row_losses[1], clean.row_losses[1]);
  for (const auto& gradient :
       {answer.gradient, answer.extra_gradients.at("positive"),
        answer.extra_gradients.at("negative")}) {
    EXPECT_TRUE(std::isnan(gradient[0]) && std::isnan(gradient[2]));
    EXPECT_FALSE(std::isnan(gradient[3]));
  }
}

}  // namespace
}  // namespace lossd::test
