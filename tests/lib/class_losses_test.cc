// categorical_focal and nll: worked values, edges, semantics, diagnostics and
// what is refused.

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worked_values.h"

namespace lossd::test {
namespace {

using testing::HasSubstr;

constexpr auto kLogits = PredictionKind::kLogits;
constexpr auto kProbabilities = PredictionKind::kProbabilities;
constexpr auto kLogProbabilities = PredictionKind::kLogProbabilities;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Problem Classes(LossParams params, std::vector<double> predictions,
                std::vector<double> targets, int64_t rows = 1) {
  Problem problem;
  problem.spec.params = std::move(params);
  problem.shape = {rows, static_cast<int64_t>(predictions.size()) / rows};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  return problem;
}

const std::vector<double> kTwoRows = {1, 2, 0.5, 0.1, -1.2, 3};
const std::vector<double> kSoft = {0, 1, 0, 0.2, 0.3, 0.5};

TEST(CategoricalFocalTest, IsTheWorkedValue) {
  const Answer answer = MustSolve(
      Classes(CategoricalFocalParams{.prediction_kind = kLogits, .alpha = 0.25},
              kTwoRows, kSoft, 2),
      {.diagnostics = true});
  ExpectWorked({answer.result.loss}, {0.23036926443291944});
  ExpectWorked(answer.gradient, {0.010255645704101323, -0.016476009258788928,
                                 0.0062203635546876105, -0.026061474633975623,
                                 -0.03987849046834264, 0.06593996510231827});
  EXPECT_EQ(Figure(answer, "accuracy"), 1);
}

TEST(CategoricalFocalTest, AlphaIsOneWhenUnset) {
  const Answer answer = MustSolve(Classes(
      CategoricalFocalParams{.prediction_kind = kLogits}, kTwoRows, kSoft, 2));
  ExpectWorked({answer.result.loss}, {4 * 0.23036926443291944});
}

TEST(CategoricalFocalTest, GammaZeroIsCategoricalCrossEntropy) {
  for (const PredictionKind kind : {kLogits, kProbabilities}) {
    const std::vector<double> predictions = {0.25, 0.625, 0.125};
    const std::vector<double> targets = {0.5, 0.25, 0};
    const Answer focal = MustSolve(Classes(
        CategoricalFocalParams{
            .prediction_kind = kind, .gamma = 0, .label_smoothing = 0.1},
        predictions, targets));
    const Answer plain =
        MustSolve(Classes(CategoricalCrossEntropyParams{.prediction_kind = kind,
                                                        .label_smoothing = 0.1},
                          predictions, targets));
    ExpectWorked({focal.result.loss}, {plain.result.loss});
    ExpectWorked(focal.gradient, plain.gradient);
  }
}

// With 50 digits: (1 - S)^2 is 3.5e-26, which a rounded 1 - S would lose.
TEST(CategoricalFocalTest, ConfidentRowsKeepTheirDigits) {
  const Answer answer =
      MustSolve(Classes(CategoricalFocalParams{.prediction_kind = kLogits},
                        {30, 0, 0}, {1, 0, 0}));
  EXPECT_NEAR(answer.result.loss / 6.5552100991893453e-39, 1, 1e-14);
  EXPECT_NEAR(answer.gradient[0] / -1.9665630297564969e-38, 1, 1e-14);
}

TEST(CategoricalFocalTest, ImpossibleClassesWithoutMassAreFine) {
  const Answer answer =
      MustSolve(Classes(CategoricalFocalParams{.prediction_kind = kLogits},
                        {-kInfinity, 0, 1}, {0, 1, 0}));
  const Answer two = MustSolve(Classes(
      CategoricalFocalParams{.prediction_kind = kLogits}, {0, 1}, {1, 0}));
  ExpectWorked({answer.result.loss}, {two.result.loss});
  ExpectWorked(answer.gradient, {0, two.gradient[0], two.gradient[1]});
}

// keras.losses.categorical_focal_crossentropy's formula by torch's autograd:
// normalised, clipped to [1e-7, 1 - 1e-7], times alpha 0.25.
TEST(CategoricalFocalTest, KerasNormalizesAndClips) {
  Problem problem = Classes(CategoricalFocalParams{},
                            {0.2, 0.6, 0.4, 0.5, 0.3, 0.3}, kSoft, 2);
  problem.spec.semantics = Semantics::kKeras;
  problem.spec.reduction = Reduction::kSum;
  const Answer answer = MustSolve(problem);
  ExpectWorked(answer.row_losses, {0.043321698784996615, 0.1491739293018432});
  ExpectWorked(answer.gradient, {0.12428616464166098, -0.12428616464166103,
                                 0.12428616464166098, 0.15232659767347204,
                                 -0.03991019280072225, -0.2139674699883979});
  problem = Classes(CategoricalFocalParams{}, {1, 0}, {0, 1});
  problem.spec.semantics = Semantics::kKeras;
  const Answer clipped = MustSolve(problem);
  ExpectWorked({clipped.result.loss}, {4.029523106834838});
  EXPECT_EQ(clipped.gradient, std::vector<double>({0, 0}));
  EXPECT_EQ(clipped.result.clipped_count, 2);
}

// The same, which also clips the softmax of logits.
TEST(CategoricalFocalTest, KerasClipsTheSoftmax) {
  Problem problem = Classes(CategoricalFocalParams{.prediction_kind = kLogits},
                            {30, 0, 0}, {0, 1, 0});
  problem.spec.semantics = Semantics::kKeras;
  const Answer clipped = MustSolve(problem);
  ExpectWorked({clipped.result.loss}, {4.029523106834838});
  EXPECT_EQ(clipped.gradient, std::vector<double>({0, 0, 0}));
  problem.spec.params = CategoricalFocalParams{
      .prediction_kind = kLogits, .gamma = 1.5, .label_smoothing = 0.1};
  problem.predictions = {1, 2, 0.5};
  const Answer answer = MustSolve(problem);
  ExpectWorked({answer.result.loss}, {0.045806845097322836});
  ExpectWorked(answer.gradient, {0.021714385593883907, -0.03070635362022399,
                                 0.008991968026340082});
}

TEST(CategoricalFocalTest, PytorchTakesProbabilitiesAsGiven) {
  Problem problem =
      Classes(CategoricalFocalParams{.prediction_kind = kProbabilities},
              {0.5, 0.25, 0, 1}, {1, 0, 1, 0}, 2);
  problem.spec.semantics = Semantics::kPytorch;
  problem.spec.reduction = Reduction::kSum;
  const Answer answer = MustSolve(problem);
  ExpectWorked(answer.row_losses, {0.25 * std::log(2.0), 100});
  // (1 - q)^2 / q + 2 (1 - q) log q, of 0.5 and of 0.
  ExpectWorked({answer.gradient[0]}, {-(0.5 + std::log(2.0))});
  EXPECT_NEAR(answer.gradient[2] / -1e12, 1, 1e-9);
  EXPECT_EQ(answer.result.clipped_count, 1);
}

TEST(CategoricalFocalTest, BadInputNamesFieldAndElement) {
  const CategoricalFocalParams logits{.prediction_kind = kLogits};
  const CategoricalFocalParams probabilities{.prediction_kind = kProbabilities};
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Form form{.dtype = dtype};
    const auto refused = [&](const CategoricalFocalParams& params,
                             std::vector<double> predictions,
                             std::vector<double> targets) {
      return Solve(Classes(params, std::move(predictions), std::move(targets)),
                   form);
    };
    EXPECT_THAT(refused(logits, {0, kNan}, {1, 0}),
                Violates("predictions.data[1]"));
    EXPECT_THAT(refused(logits, {kInfinity, 0}, {1, 0}),
                Violates("predictions.data[0]"));
    EXPECT_THAT(refused(logits, {-kInfinity, 0}, {1, 0}),
                Violates("predictions.data[0]"));
    EXPECT_THAT(refused(logits, {-kInfinity, -kInfinity}, {0, 0}),
                Violates("predictions.data[0]"));
    EXPECT_THAT(refused(logits, {0, 0}, {1, -0.5}),
                Violates("targets.data[1]"));
    EXPECT_THAT(refused(logits, {0, 0}, {1, kNan}),
                Violates("targets.data[1]"));
    EXPECT_THAT(refused(probabilities, {1.5, -0.5}, {1, 0}),
                Violates("predictions.data[0]"));
    EXPECT_THAT(refused(probabilities, {0.5, 0.4}, {1, 0}),
                Violates("predictions.data[0]"));
    const auto infinite = refused(probabilities, {1, 0}, {0, 1});
    EXPECT_THAT(infinite, Violates("predictions.data[1]"));
    EXPECT_THAT(infinite.status().ToString(), HasSubstr("infinite"));
  }
  EXPECT_THAT(Solve(Classes(CategoricalFocalParams{}, {0, 0}, {1, 0})),
              Violates("options.prediction_kind"));
  EXPECT_THAT(Solve(Classes(CategoricalFocalParams{.prediction_kind = kLogits,
                                                   .gamma = -1},
                            {0, 0}, {1, 0})),
              Violates("options.gamma"));
  EXPECT_THAT(Solve(Classes(CategoricalFocalParams{.prediction_kind = kLogits,
                                                   .alpha = 1.5},
                            {0, 0}, {1, 0})),
              Violates("options.alpha"));
}

TEST(CategoricalFocalTest, NanStaysInItsRow) {
  Problem problem =
      Classes(CategoricalFocalParams{.prediction_kind = kLogits},
              {0, kNan, 0, 1, 0, kInfinity}, {1, 0, 1, 0, 1, 0}, 3);
  problem.spec.semantics = Semantics::kPytorch;
  problem.spec.reduction = Reduction::kNone;
  const Answer answer = MustSolve(problem);
  EXPECT_TRUE(std::isnan(answer.row_losses[0]));
  EXPECT_TRUE(std::isnan(answer.gradient[0]));
  EXPECT_TRUE(std::isfinite(answer.row_losses[1]));
  EXPECT_TRUE(std::isnan(answer.row_losses[2]));
}

Problem Labelled(LossParams params, std::vector<double> predictions,
                 std::vector<int64_t> labels) {
  const auto rows = static_cast<int64_t>(labels.size());
  Problem problem =
      Classes(std::move(params), std::move(predictions), {}, rows);
  problem.labels = std::move(labels);
  return problem;
}

const std::vector<double> kLogarithms = {-1.2, -0.5, -2,   -0.3, -1.9,
                                         -2.2, -1,   -1.0, -1.1};

// Of every case of the table, bit for bit.
TEST(NllTest, IsSparseCategoricalCrossEntropyOfLogProbabilities) {
  for (const LossCase& row : LossCases()) {
    const auto* params = std::get_if<NllParams>(&row.params);
    if (params == nullptr) continue;
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
      Problem problem = Sample(row, {50, 21}, dtype);
      AddWeights(problem, 2);
      const Form form{.dtype = dtype, .diagnostics = true};
      const Answer nll = MustSolve(problem, form);
      problem.spec.params = SparseCategoricalCrossEntropyParams{
          .prediction_kind = kLogProbabilities,
          .ignore_index = params->ignore_index};
      EXPECT_TRUE(SameBits(MustSolve(problem, form), nll)) << row.name;
    }
  }
}

// torch.nn.functional.nll_loss: ignores -100, divides by the weights.
TEST(NllTest, PytorchIgnoresAndWeighsTheMean) {
  Problem problem = Labelled(NllParams{}, kLogarithms, {2, 0, -100});
  problem.class_weights = {1, 2, 3};
  problem.spec.semantics = Semantics::kPytorch;
  const Answer answer = MustSolve(problem);
  ExpectWorked({answer.result.loss}, {1.575});
  ExpectWorked(answer.gradient, {0, 0, -0.75, -0.25, 0, 0, 0, 0, 0});
  EXPECT_EQ(answer.result.ignored_count, 1);
  EXPECT_EQ(answer.result.normalizer, 4);
}

TEST(NllTest, BadInputNamesFieldAndElement) {
  const auto label = Solve(Labelled(NllParams{}, kLogarithms, {2, 0, -100}));
  EXPECT_THAT(label, Violates("targets.data[2]"));
  EXPECT_THAT(label.status().ToString(), HasSubstr("0-based"));
  EXPECT_THAT(Solve(Labelled(NllParams{}, {0, -kInfinity}, {1})),
              Violates("predictions.data[1]"));
  EXPECT_THAT(Solve(Labelled(NllParams{}, {kNan, 0}, {1})),
              Violates("predictions.data[0]"));
}

TEST(NllTest, AccuracyIsThatOfTheLabels) {
  const Answer answer = MustSolve(Labelled(NllParams{}, kLogarithms, {1, 0, 2}),
                                  {.diagnostics = true});
  EXPECT_DOUBLE_EQ(Figure(answer, "accuracy"), 2.0 / 3);
}

}  // namespace
}  // namespace lossd::test
