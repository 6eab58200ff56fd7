// The focal loss: worked values, edges, refusals, semantics and diagnostics.

#include <cmath>
#include <cstdint>
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

constexpr auto kLogits = PredictionKind::kLogits;
constexpr auto kProbabilities = PredictionKind::kProbabilities;

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

Answer RowsOf(Problem problem) {
  problem.spec.reduction = Reduction::kNone;
  return MustSolve(problem, {.diagnostics = true});
}

TEST(FocalTest, WorkedValues) {
  const FocalParams params{.prediction_kind = kLogits, .alpha = 0.25};
  const Answer hard =
      MustSolve(Elements(params, {1.2, -0.7, 0.3, 2}, {1, 0, 1, 0}));
  ExpectWorked({hard.result.loss}, {0.32486914149034507});
  ExpectWorked(hard.gradient, {-0.0021303496092548997, 0.017972760457594907,
                               -0.012025527457205143, 0.20188382445909037});
  const Answer soft =
      MustSolve(Elements(params, {1.2, -0.7, 0.3, 2}, {1, 0, 0.7, 0.2}));
  ExpectWorked({soft.result.loss}, {0.17237487678842886});
  ExpectWorked(soft.gradient, {-0.0021303496092549023, 0.017972760457594897,
                               -0.008701683940080491, 0.08446551813490215});
}

TEST(FocalTest, GammaBelowOneHasNoNan) {
  // Confident and right: the loss underflows, its slope too.
  for (const double gamma : {0.25, 0.5, 1.0, 2.0}) {
    const Answer logits =
        RowsOf(Elements(FocalParams{.prediction_kind = kLogits, .gamma = gamma},
                        {100, -800, 800}, {1, 0, 1}));
    for (const double number : logits.gradient) {
      EXPECT_TRUE(std::abs(number) < 1e-40) << number;
    }
    const Answer probabilities = RowsOf(
        Elements(FocalParams{.prediction_kind = kProbabilities, .gamma = gamma},
                 {1, 0}, {1, 0}));
    EXPECT_EQ(probabilities.row_losses, Numbers({0, 0}));
    EXPECT_EQ(probabilities.gradient, Numbers({0, 0}));
  }
}

TEST(FocalTest, GammaZeroIsBinaryCrossEntropy) {
  for (const PredictionKind kind : {kLogits, kProbabilities}) {
    const Numbers predictions = {0.2, 0.9, 0, 1};
    const Numbers targets = {1, 0.25, 0, 1};
    const Answer focal = RowsOf(
        Elements(FocalParams{.prediction_kind = kind,
                             .gamma = 0,
                             .label_smoothing = kind == kLogits ? 0.1 : 0},
                 predictions, targets));
    const Answer bce = RowsOf(Elements(
        BinaryCrossEntropyParams{.prediction_kind = kind,
                                 .label_smoothing = kind == kLogits ? 0.1 : 0},
        predictions, targets));
    EXPECT_EQ(focal.row_losses, bce.row_losses);
    EXPECT_EQ(focal.gradient, bce.gradient);
  }
}

// torchvision.ops.sigmoid_focal_loss's lines, run with torch 1.13 in float64.
TEST(FocalTest, PytorchWeighsPositivesByAQuarter) {
  const Answer answer = RowsOf(Elements(FocalParams{.prediction_kind = kLogits},
                                        {1.2, -0.7, 0.3, 2}, {1, 0, 0.7, 0.2},
                                        Semantics::kPytorch));
  ExpectWorked(answer.row_losses, {0.00352671971719341, 0.03329289280598074,
                                   0.05698926848702583, 0.59569062614351542});
  ExpectWorked(answer.gradient, {-0.00852139843701961, 0.07189104183037959,
                                 -0.03480673576032196, 0.33786207253960876});
  // An alpha that is set wins.
  const Answer one =
      RowsOf(Elements(FocalParams{.prediction_kind = kLogits, .alpha = 1},
                      {1.2, -0.7}, {1, 0}, Semantics::kPytorch));
  ExpectWorked(one.row_losses, {4 * 0.00352671971719341, 0});
}

// Keras' lines by hand: q clipped to 1e-7 and 1 - 1e-7 in the cross-entropy
// alone, smoothed targets everywhere.
TEST(FocalTest, KerasClipsTheCrossEntropy) {
  const double log_epsilon = -16.11809565095832;
  const Answer answer = RowsOf(
      Elements(FocalParams{}, {0, 1, 0.5, 1}, {1, 1, 1, 0}, Semantics::kKeras));
  // (1 - q)^2 b of t = 1: 1 * -log 1e-7, 0 * 1e-7, 1/4 log 2; of t = 0 the
  // difference 1 - (1 - 1e-7) is rounded, so its logarithm is off by 6e-10.
  EXPECT_NEAR(answer.row_losses[0], -log_epsilon, 1e-12);
  EXPECT_NEAR(answer.row_losses[1], 0, 1e-20);
  EXPECT_NEAR(answer.row_losses[2], std::log(2) / 4, 1e-15);
  EXPECT_NEAR(answer.row_losses[3], -log_epsilon, 1e-9);
  // -gamma (1 - q) b where b is clipped, and the whole slope at 1/2:
  // -(1 - q)^2 / q - 2 (1 - q) log 2.
  EXPECT_NEAR(answer.gradient[0], 2 * log_epsilon, 1e-12);
  EXPECT_NEAR(answer.gradient[1], 0, 1e-20);
  EXPECT_NEAR(answer.gradient[2], -0.5 - std::log(2), 1e-15);
  EXPECT_NEAR(answer.gradient[3], -2 * log_epsilon, 1e-8);
  EXPECT_EQ(answer.result.clipped_count, 3);
}

// The same of logits, which Keras turns into probabilities first: at -20
// b is -log 1e-7 and not 20.
TEST(FocalTest, KerasClipsLogitsToo) {
  const Answer answer = RowsOf(Elements(FocalParams{.prediction_kind = kLogits},
                                        {-20, 0.3}, {1, 1}, Semantics::kKeras));
  const double q = 1 / (1 + std::exp(20));
  EXPECT_NEAR(answer.row_losses[0], 16.11809565095832 * (1 - q) * (1 - q),
              1e-12);
  EXPECT_NEAR(answer.gradient[0],
              -2 * (1 - q) * q * (1 - q) * 16.11809565095832, 1e-20);
  // Without clipping as in kStrict.
  const Answer strict =
      RowsOf(Elements(FocalParams{.prediction_kind = kLogits}, {0.3}, {1}));
  EXPECT_NEAR(answer.row_losses[1], strict.row_losses[0], 1e-15);
  EXPECT_NEAR(answer.gradient[1], strict.gradient[0], 1e-15);
}

TEST(FocalTest, KerasSmoothsTargetsInEveryPlace) {
  // t = 1 with smoothing 0.2 is 0.9: P = 0.9 q + 0.1 (1 - q).
  const Answer answer =
      RowsOf(Elements(FocalParams{.alpha = 0.25, .label_smoothing = 0.2}, {0.7},
                      {1}, Semantics::kKeras));
  const double p = 0.9 * 0.7 + 0.1 * 0.3;
  const double b = -0.9 * std::log(0.7) - 0.1 * std::log(0.3);
  const double a = 0.25 * 0.9 + 0.75 * 0.1;
  ExpectWorked(answer.row_losses, {a * (1 - p) * (1 - p) * b});
  const double slope = 0.1 / 0.3 - 0.9 / 0.7;
  ExpectWorked(answer.gradient,
               {a * ((1 - p) * (1 - p) * slope - 2 * (1 - p) * 0.8 * b)});
  // The same options mean the same where nothing is clipped.
  const Answer strict =
      RowsOf(Elements(FocalParams{.prediction_kind = kProbabilities,
                                  .alpha = 0.25,
                                  .label_smoothing = 0.2},
                      {0.7}, {1}));
  ExpectWorked(answer.row_losses, strict.row_losses);
  ExpectWorked(answer.gradient, strict.gradient);
}

TEST(FocalTest, NotANumberPropagates) {
  for (const Semantics semantics : {Semantics::kPytorch, Semantics::kKeras}) {
    for (const PredictionKind kind : {kLogits, kProbabilities}) {
      const Answer answer =
          RowsOf(Elements(FocalParams{.prediction_kind = kind, .gamma = 0.5},
                          {kNan, 0.5}, {1, 1}, semantics));
      EXPECT_TRUE(std::isnan(answer.row_losses[0]));
      EXPECT_TRUE(std::isnan(answer.gradient[0]));
      EXPECT_TRUE(std::isfinite(answer.row_losses[1]));
      EXPECT_TRUE(std::isfinite(answer.gradient[1]));
    }
  }
}

TEST(FocalTest, BadInputIsRefused) {
  struct Bad {
    Problem problem;
    std::string field;
    std::string got;
    std::string allowed;
  };
  const Bad all[] = {
      {Elements(FocalParams{}, {0}, {1}), "options.prediction_kind", "nothing",
       "LOGITS or PROBABILITIES"},
      {Elements(FocalParams{}, {0}, {1}, Semantics::kPytorch),
       "options.prediction_kind", "nothing", "LOGITS or PROBABILITIES"},
      {Elements(FocalParams{.prediction_kind = kLogits, .gamma = -1}, {0}, {1}),
       "options.gamma", "-1", "finite and >= 0"},
      {Elements(FocalParams{.prediction_kind = kLogits, .alpha = 1.5}, {0},
                {1}),
       "options.alpha", "1.5", "in [0, 1]"},
      {Elements(FocalParams{.prediction_kind = kLogits}, {0, kInfinity},
                {1, 1}),
       "predictions.data[1]", "inf", "finite numbers"},
      {Elements(FocalParams{.prediction_kind = kLogits}, {0, 0}, {1, 2}),
       "targets.data[1]", "2", "in [0, 1]"},
      {Elements(FocalParams{.prediction_kind = kProbabilities}, {0.5, 1.5},
                {1, 1}),
       "predictions.data[1]", "1.5",
       "probabilities in [0, 1]; these look like logits"},
      {Elements(FocalParams{.prediction_kind = kProbabilities}, {1, 0}, {1, 1}),
       "predictions.data[1]", "0 where the target is 1",
       "probabilities whose loss is finite"}};
  for (const Bad& bad : all) {
    SCOPED_TRACE(bad.field + " of loss " +
                 std::to_string(bad.problem.spec.params.index()));
    const absl::StatusOr<Answer> answer = Solve(bad.problem);
    EXPECT_THAT(answer, Violates(bad.field));
    EXPECT_THAT(std::string(answer.status().message()),
                AllOf(HasSubstr("got " + bad.got), HasSubstr(bad.allowed)));
  }
}

TEST(FocalTest, Diagnostics) {
  const Answer focal =
      RowsOf(Elements(FocalParams{.prediction_kind = kProbabilities},
                      {0.9, 0.4, 0.25, 0.6}, {1, 1, 0, 0}));
  EXPECT_EQ(Figure(focal, "accuracy"), 0.5);
  EXPECT_NEAR(Figure(focal, "mean_target_probability"), 2.45 / 4, 1e-15);
  EXPECT_EQ(Figure(focal, "saturated_fraction"), 0);
}

}  // namespace
}  // namespace lossd::test
