// What the literature says of these losses, one test a sentence.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using testing::HasSubstr;

constexpr auto kLogits = PredictionKind::kLogits;

Problem Elements(LossParams params, std::vector<double> predictions,
                 std::vector<double> targets) {
  Problem problem;
  problem.spec.params = params;
  problem.shape = {static_cast<int64_t>(predictions.size())};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  return problem;
}

// Three rows of three logits.
Problem ThreeRows(LossParams params) {
  Problem problem;
  problem.spec.params = params;
  problem.shape = {3, 3};
  problem.predictions = {0.2, -1.5, 2.25, 3.5, 0.1, -0.7, -2, 0.3, 0.9};
  return problem;
}

double Loss(LossParams params, double prediction, double target) {
  return MustSolve(Elements(params, {prediction}, {target})).result.loss;
}

double Slope(LossParams params, double prediction, double target) {
  return MustSolve(Elements(params, {prediction}, {target})).gradient.at(0);
}

double Size(const std::vector<double>& gradient) {
  double squares = 0;
  for (const double slope : gradient) squares += slope * slope;
  return std::sqrt(squares);
}

constexpr LossParams kConvexRegressionLosses[] = {MeanSquaredErrorParams{},
                                                  MeanAbsoluteErrorParams{},
                                                  HuberParams{.delta = 0.7}};

TEST(SeedClaimsTest, EveryLossIsAtLeastZero) {
  for (const LossCase& row : LossCases()) {
    // The nine of the literature; likelihoods and policies may be negative.
    if (row.reference) continue;
    // A target without full mass is no distribution, and then the divergence
    // may be negative.
    const bool divergence =
        std::holds_alternative<KullbackLeiblerDivergenceParams>(row.params);
    Problem problem = Sample(row, {500, 8}, Dtype::kFloat64);
    if (divergence && !row.name.ends_with("log_targets")) {
      for (size_t i = 0; i < problem.targets.size(); i += 8) {
        double sum = 0;
        for (size_t k = 0; k < 8; ++k) sum += problem.targets[i + k];
        for (size_t k = 0; k < 8; ++k) problem.targets[i + k] /= sum;
      }
    }
    problem.spec.reduction = Reduction::kNone;
    for (const double loss : MustSolve(problem).row_losses) {
      EXPECT_GE(loss, 0) << row.name;
    }
  }
}

TEST(SeedClaimsTest, SquaredAbsoluteAndHuberErrorAreConvexInThePrediction) {
  Random random(1);
  for (const LossParams& params : kConvexRegressionLosses) {
    for (int i = 0; i < 300; ++i) {
      const double target = 3 * random.Normal();
      const double a = 3 * random.Normal();
      const double b = 3 * random.Normal();
      const double ends =
          (Loss(params, a, target) + Loss(params, b, target)) / 2;
      // Convexity up to the rounding of three losses.
      EXPECT_LE(Loss(params, (a + b) / 2, target), ends * (1 + 1e-14))
          << AllLosses::Find(params).name;
    }
  }
}

TEST(SeedClaimsTest, AnOutlierMovesTheGradientOfSquaredErrorMost) {
  Random random(2);
  std::vector<double> predictions(1000, 0);
  std::vector<double> targets;
  for (size_t i = 0; i < predictions.size(); ++i) {
    targets.push_back(random.Normal());
  }
  const auto change = [&](LossParams params) {
    std::vector<double> spoiled = targets;
    spoiled[17] = 100;  // Standard deviations.
    const std::vector<double> before =
        MustSolve(Elements(params, predictions, targets)).gradient;
    std::vector<double> after =
        MustSolve(Elements(params, predictions, spoiled)).gradient;
    for (size_t i = 0; i < after.size(); ++i) after[i] -= before[i];
    return Size(after);
  };
  const double squared = change(MeanSquaredErrorParams{});
  EXPECT_GE(squared, 10 * change(HuberParams{}));
  EXPECT_GE(squared, 10 * change(MeanAbsoluteErrorParams{}));
}

TEST(SeedClaimsTest, TheSlopeOfAbsoluteErrorIsConstant) {
  const MeanAbsoluteErrorParams mae;
  for (const double residual : {1e-300, 1e-9, 0.1, 1.0, 42.0, 1e9, 1e300}) {
    EXPECT_EQ(Slope(mae, residual, 0), 1);
    EXPECT_EQ(Slope(mae, -residual, 0), -1);
  }
}

TEST(SeedClaimsTest, TheSlopeOfHuberGoesToZero) {
  double previous = Slope(HuberParams{}, 1, 0);
  EXPECT_EQ(previous, 1);
  for (const double residual : {0.5, 0.1, 1e-3, 1e-6, 1e-12, 1e-300}) {
    const double slope = Slope(HuberParams{}, residual, 0);
    EXPECT_EQ(slope, residual);
    EXPECT_LT(slope, previous);
    previous = slope;
  }
  EXPECT_EQ(Slope(HuberParams{}, 0, 0), 0);
}

TEST(SeedClaimsTest, HuberIsSmoothAtZeroAndAtDelta) {
  const HuberParams huber{.delta = 1.5};
  for (const double place : {0.0, 1.5, -1.5}) {
    constexpr double kStep = 1e-7;
    // Slopes from both sides meet, and so do the values: within the steps,
    // since the slope changes by at most 1 a unit and the value by delta.
    EXPECT_NEAR(Slope(huber, place - kStep, 0), Slope(huber, place + kStep, 0),
                2.1 * kStep);
    EXPECT_NEAR(Loss(huber, place - kStep, 0), Loss(huber, place + kStep, 0),
                2.1 * kStep * huber.delta);
  }
}

TEST(SeedClaimsTest, HingeOfZeroAndOneIsHingeOfMinusOneAndPlusOne) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem signs = Elements(HingeParams{}, {}, {});
    Problem bits = Elements(
        HingeParams{.label_encoding = LabelEncoding::kZeroOne}, {}, {});
    Random random(3);
    for (int i = 0; i < 1000; ++i) {
      const double prediction = static_cast<float>(random.Normal());
      const double bit = random.Chance(0.5) ? 1 : 0;
      signs.predictions.push_back(prediction);
      bits.predictions.push_back(prediction);
      signs.targets.push_back(2 * bit - 1);
      bits.targets.push_back(bit);
    }
    signs.shape = bits.shape = {1000};
    EXPECT_TRUE(SameBits(MustSolve(signs, {.dtype = dtype}),
                         MustSolve(bits, {.dtype = dtype})));
  }
}

TEST(SeedClaimsTest, OneHotCrossEntropyIsThatOfTheLabelsBitForBit) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem one_hot =
        ThreeRows(CategoricalCrossEntropyParams{.prediction_kind = kLogits});
    one_hot.targets = {0, 0, 1, 1, 0, 0, 0, 1, 0};
    Problem sparse = ThreeRows(
        SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits});
    sparse.labels = {2, 0, 1};
    EXPECT_TRUE(SameBits(MustSolve(one_hot, {.dtype = dtype}),
                         MustSolve(sparse, {.dtype = dtype})));
  }
}

// The same for every option, kind and size.
TEST(SeedClaimsTest, OneHotCrossEntropyIsThatOfTheLabelsForEveryOption) {
  for (const LossCase& row : LossCases()) {
    const auto* params =
        std::get_if<SparseCategoricalCrossEntropyParams>(&row.params);
    if (params == nullptr || params->ignore_index) continue;
    for (const int64_t columns : {1, 2, 7, 16, 31, 32, 33, 100, 5000}) {
      for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
        const Problem sparse = Sample(row, {9, columns}, dtype);
        Problem one_hot = sparse;
        one_hot.spec.params = CategoricalCrossEntropyParams{
            .prediction_kind = params->prediction_kind,
            .label_smoothing = params->label_smoothing,
            .z_loss = params->z_loss,
            .logit_softcap = params->logit_softcap,
            .temperature = params->temperature};
        one_hot.labels.clear();
        one_hot.targets.assign(sparse.predictions.size(), 0);
        for (size_t i = 0; i < sparse.labels.size(); ++i) {
          one_hot.targets[i * sparse.columns() +
                          static_cast<size_t>(sparse.labels[i])] = 1;
        }
        EXPECT_TRUE(SameBits(MustSolve(one_hot, {.dtype = dtype}),
                             MustSolve(sparse, {.dtype = dtype})))
            << row.name << ", " << columns << " columns";
      }
    }
  }
}

TEST(SeedClaimsTest, LabelsThatBeginAtOneAreRefused) {
  Problem problem = ThreeRows(
      SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits});
  problem.labels = {3, 1, 2};
  const absl::StatusOr<Answer> answer = Solve(problem);
  EXPECT_THAT(answer, Violates("targets.data[0]"));
  EXPECT_THAT(answer, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("0-based")));
}

TEST(SeedClaimsTest, TheDivergenceOfADistributionFromItselfIsZero) {
  const KullbackLeiblerDivergenceParams params{
      .prediction_kind = PredictionKind::kProbabilities};
  Problem problem = ThreeRows(params);
  problem.predictions = {0.1, 0.2, 0.7, 1, 0, 0, 0.25, 0.25, 0.5};
  problem.targets = problem.predictions;
  problem.spec.reduction = Reduction::kNone;
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    EXPECT_EQ(MustSolve(problem, {.dtype = dtype}).row_losses,
              std::vector<double>({0, 0, 0}));
  }
}

TEST(SeedClaimsTest, TheGradientOfTheDivergenceIsThatOfCrossEntropy) {
  Problem divergence =
      ThreeRows(KullbackLeiblerDivergenceParams{.prediction_kind = kLogits});
  divergence.targets = {0.1, 0.2, 0.7, 0.5, 0.5, 0, 0.25, 0.25, 0.5};
  Problem cross_entropy = divergence;
  cross_entropy.spec.params =
      CategoricalCrossEntropyParams{.prediction_kind = kLogits};
  const std::vector<double> a = MustSolve(divergence).gradient;
  const std::vector<double> b = MustSolve(cross_entropy).gradient;
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_DOUBLE_EQ(a[i], b[i]) << i;
}

TEST(SeedClaimsTest, MultiHotTargetsAreForCategoricalCrossEntropyOnly) {
  Problem multi_hot =
      ThreeRows(CategoricalCrossEntropyParams{.prediction_kind = kLogits});
  multi_hot.targets = {0, 1, 1, 1, 0, 0, 1, 1, 1};
  EXPECT_THAT(Solve(multi_hot), IsOk());
  // One label a row is all that the sparse loss can be told.
  Problem sparse = multi_hot;
  sparse.spec.params =
      SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits};
  sparse.targets.clear();
  sparse.labels = {0, 1, 1, 1, 0, 0, 1, 1, 1};
  TestCall call(sparse, {});
  call.inputs.targets.shape = sparse.shape;
  EXPECT_THAT(call.Run(), Violates("targets.shape"));
}

}  // namespace
}  // namespace lossd::test
