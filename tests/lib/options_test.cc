// Each option does what its header says, and refuses what it cannot mean.

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr auto kLogits = PredictionKind::kLogits;
constexpr auto kProbabilities = PredictionKind::kProbabilities;
constexpr auto kLogProbabilities = PredictionKind::kLogProbabilities;

// The loss of a problem that must be all right.
double LossOf(const Problem& problem) { return MustSolve(problem).result.loss; }

Problem Elements(LossParams params, std::vector<double> predictions,
                 std::vector<double> targets) {
  Problem problem;
  problem.spec.params = params;
  problem.shape = {static_cast<int64_t>(predictions.size())};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  return problem;
}

Problem Row(LossParams params, std::vector<double> predictions,
            std::vector<double> targets) {
  Problem problem =
      Elements(params, std::move(predictions), std::move(targets));
  problem.shape = {1, problem.shape[0]};
  return problem;
}

Problem Labelled(SparseCategoricalCrossEntropyParams params,
                 std::vector<double> predictions, int64_t label) {
  Problem problem = Row(params, std::move(predictions), {});
  problem.labels = {label};
  return problem;
}

TEST(HuberOptionsTest, DeltaIsWhereQuadraticTurnsLinear) {
  EXPECT_EQ(LossOf(Elements(HuberParams{.delta = 4}, {3}, {0})), 4.5);
  EXPECT_EQ(LossOf(Elements(HuberParams{.delta = 1}, {3}, {0})), 2.5);
  EXPECT_EQ(LossOf(Elements(HuberParams{.delta = 0.5}, {3}, {0})), 1.375);
}

TEST(HuberOptionsTest, LargeDeltaIsHalfTheSquaredError) {
  EXPECT_EQ(LossOf(Elements(HuberParams{.delta = 1e300}, {3, -1}, {0, 1})),
            LossOf(Elements(MeanSquaredErrorParams{}, {3, -1}, {0, 1})) / 2);
}

TEST(BinaryCrossEntropyOptionsTest, LabelSmoothingMovesTargetsToOneHalf) {
  const std::vector<double> logits = {2, -1};
  // 0.9 * 1 + 0.05 and 0.9 * 0 + 0.05.
  EXPECT_NEAR(
      LossOf(Elements(BinaryCrossEntropyParams{.prediction_kind = kLogits,
                                               .label_smoothing = 0.1},
                      logits, {1, 0})),
      LossOf(Elements(BinaryCrossEntropyParams{.prediction_kind = kLogits},
                      logits, {0.95, 0.05})),
      1e-15);
}

TEST(BinaryCrossEntropyOptionsTest, FullSmoothingForgetsTheTarget) {
  const BinaryCrossEntropyParams params{.prediction_kind = kLogits,
                                        .label_smoothing = 1};
  EXPECT_EQ(LossOf(Elements(params, {2}, {1})),
            LossOf(Elements(params, {2}, {0})));
}

TEST(BinaryCrossEntropyOptionsTest, PosWeightMultipliesThePositiveTerm) {
  const BinaryCrossEntropyParams plain{.prediction_kind = kLogits};
  const BinaryCrossEntropyParams three{.prediction_kind = kLogits,
                                       .pos_weight = 3};
  EXPECT_NEAR(LossOf(Elements(three, {0.7}, {1})),
              3 * LossOf(Elements(plain, {0.7}, {1})), 1e-15);
  EXPECT_EQ(LossOf(Elements(three, {0.7}, {0})),
            LossOf(Elements(plain, {0.7}, {0})));
}

TEST(BinaryCrossEntropyOptionsTest, PosWeightMayBeOneAColumn) {
  const BinaryCrossEntropyParams plain{.prediction_kind = kLogits};
  Problem columns = Row(plain, {0.7, 0.7}, {1, 1});
  columns.pos_weight = {3, 1};
  EXPECT_NEAR(LossOf(columns), 2 * LossOf(Row(plain, {0.7, 0.7}, {1, 1})),
              1e-15);
}

TEST(BinaryCrossEntropyOptionsTest, KindsAgree) {
  const std::vector<double> logits = {2, -1, 0.3};
  std::vector<double> probabilities = logits;
  for (double& x : probabilities) x = 1 / (1 + std::exp(-x));
  const std::vector<double> targets = {1, 0, 0.5};
  EXPECT_NEAR(
      LossOf(Elements(BinaryCrossEntropyParams{.prediction_kind = kLogits},
                      logits, targets)),
      LossOf(
          Elements(BinaryCrossEntropyParams{.prediction_kind = kProbabilities},
                   probabilities, targets)),
      1e-15);
}

TEST(HingeOptionsTest, ZeroOneIsMinusOneAndPlusOne) {
  EXPECT_EQ(
      LossOf(Elements(HingeParams{.label_encoding = LabelEncoding::kZeroOne},
                      {0.3, -1.5, 0.2}, {1, 0, 0})),
      LossOf(Elements(HingeParams{}, {0.3, -1.5, 0.2}, {1, -1, -1})));
}

TEST(CategoricalCrossEntropyOptionsTest, KindsAgree) {
  const std::vector<double> logits = {1, 2, 0.5};
  double sum = 0;
  for (const double x : logits) sum += std::exp(x);
  std::vector<double> probabilities = logits;
  std::vector<double> logarithms = logits;
  for (double& x : probabilities) x = std::exp(x) / sum;
  for (double& x : logarithms) x -= std::log(sum);
  const std::vector<double> targets = {0.2, 0.5, 0.3};
  using Params = CategoricalCrossEntropyParams;
  const double expected =
      LossOf(Row(Params{.prediction_kind = kLogits}, logits, targets));
  EXPECT_NEAR(LossOf(Row(Params{.prediction_kind = kProbabilities},
                         probabilities, targets)),
              expected, 1e-15);
  EXPECT_NEAR(LossOf(Row(Params{.prediction_kind = kLogProbabilities},
                         logarithms, targets)),
              expected, 1e-15);
}

TEST(CategoricalCrossEntropyOptionsTest, LabelSmoothingSharesMassOut) {
  using Params = CategoricalCrossEntropyParams;
  EXPECT_NEAR(
      LossOf(Row(Params{.prediction_kind = kLogits, .label_smoothing = 0.3},
                 {1, 2, 0.5}, {0, 1, 0})),
      LossOf(Row(Params{.prediction_kind = kLogits}, {1, 2, 0.5},
                 {0.1, 0.8, 0.1})),
      1e-15);
}

TEST(CategoricalCrossEntropyOptionsTest, ZLossAddsTheSquaredLogSumExp) {
  using Params = CategoricalCrossEntropyParams;
  const double log_sum_exp = std::log(std::exp(1) + std::exp(2));
  EXPECT_NEAR(
      LossOf(Row(Params{.prediction_kind = kLogits, .z_loss = 0.1}, {1, 2},
                 {0, 1})) -
          LossOf(Row(Params{.prediction_kind = kLogits}, {1, 2}, {0, 1})),
      0.1 * log_sum_exp * log_sum_exp, 1e-15);
}

TEST(CategoricalCrossEntropyOptionsTest, ClassWeightsMultiplyEveryTerm) {
  Problem problem =
      Row(CategoricalCrossEntropyParams{.prediction_kind = kLogProbabilities},
          {-1, -2, -3}, {0.5, 0.25, 0.25});
  problem.class_weights = {2, 0, 4};
  EXPECT_DOUBLE_EQ(LossOf(problem), 2 * 0.5 * 1 + 4 * 0.25 * 3);
  problem.spec.reduction = Reduction::kWeightedMean;
  EXPECT_DOUBLE_EQ(LossOf(problem), 4.0 / (2 * 0.5 + 4 * 0.25));
}

TEST(SparseCategoricalCrossEntropyOptionsTest, IgnoreIndexHidesRows) {
  for (const int64_t ignored : {int64_t{-100}, int64_t{1}, int64_t{255}}) {
    Problem problem = Labelled(
        {.prediction_kind = kLogits, .ignore_index = ignored}, {1, 2, 0.5}, 2);
    problem.shape = {2, 3};
    problem.predictions = {1, 2, 0.5, 3, 1, 4};
    problem.labels = {2, ignored};
    const absl::StatusOr<Answer> answer = Solve(problem);
    ASSERT_THAT(answer, IsOk());
    EXPECT_EQ(answer->result.loss,
              LossOf(Labelled({.prediction_kind = kLogits}, {1, 2, 0.5}, 2)));
    EXPECT_EQ(answer->result.ignored_count, 1);
    EXPECT_EQ(answer->result.row_count, 1);
    for (size_t i = 3; i < 6; ++i) {
      EXPECT_TRUE(answer->gradient[i] == 0 &&
                  !std::signbit(answer->gradient[i]));
    }
  }
}

TEST(SparseCategoricalCrossEntropyOptionsTest, LabelsMayBeInt32OrInt64) {
  for (const LossCase& row : LossCases()) {
    const Problem problem = Sample(row, {50, 7}, Dtype::kFloat32);
    if (problem.labels.empty()) continue;
    const absl::StatusOr<Answer> wide =
        Solve(problem, {.label_dtype = Dtype::kInt64});
    const absl::StatusOr<Answer> narrow =
        Solve(problem, {.label_dtype = Dtype::kInt32});
    ASSERT_THAT(wide, IsOk());
    ASSERT_THAT(narrow, IsOk());
    EXPECT_TRUE(SameBits(*wide, *narrow)) << row.name;
  }
}

TEST(KullbackLeiblerDivergenceOptionsTest, TargetKindsAgree) {
  using Params = KullbackLeiblerDivergenceParams;
  const std::vector<double> logits = {1, 2, 0.5};
  EXPECT_NEAR(
      LossOf(Row(Params{.prediction_kind = kLogits,
                        .target_kind = TargetKind::kLogProbabilities},
                 logits, {std::log(0.25), -kInfinity, std::log(0.75)})),
      LossOf(Row(Params{.prediction_kind = kLogits}, logits, {0.25, 0, 0.75})),
      1e-15);
}

TEST(KullbackLeiblerDivergenceOptionsTest, PredictionKindsAgree) {
  using Params = KullbackLeiblerDivergenceParams;
  const std::vector<double> targets = {0.25, 0, 0.75};
  const double expected = LossOf(Row(Params{.prediction_kind = kProbabilities},
                                     {0.5, 0.25, 0.25}, targets));
  const std::vector<double> logarithms = {std::log(0.5), std::log(0.25),
                                          std::log(0.25)};
  EXPECT_NEAR(LossOf(Row(Params{.prediction_kind = kLogProbabilities},
                         logarithms, targets)),
              expected, 1e-15);
  EXPECT_NEAR(
      LossOf(Row(Params{.prediction_kind = kLogits}, logarithms, targets)),
      expected, 1e-15);
}

// Mixed dtypes.

TEST(DtypesTest, Float64TargetsOfFloat32PredictionsComputeInFloat64) {
  for (const LossCase& row : LossCases()) {
    Problem problem = Sample(row, {20, 9}, Dtype::kFloat64);
    if (!problem.labels.empty() || !problem.extras.empty()) continue;
    for (double& p : problem.predictions) p = static_cast<float>(p);
    for (Extra& extra : problem.extras) {
      for (double& number : extra.numbers) number = static_cast<float>(number);
    }
    const absl::StatusOr<Answer> mixed =
        Solve(problem, {.dtype = Dtype::kFloat32,
                        .target_dtype = Dtype::kFloat64,
                        .extra_dtype = Dtype::kFloat64,
                        .gradient_dtype = Dtype::kFloat64});
    const absl::StatusOr<Answer> wide = Solve(problem);
    ASSERT_THAT(mixed, IsOk());
    ASSERT_THAT(wide, IsOk());
    EXPECT_TRUE(SameBits(*mixed, *wide)) << row.name;
  }
}

TEST(DtypesTest, Float32TargetsOfFloat64PredictionsAreExact) {
  for (const LossCase& row : LossCases()) {
    Problem problem = Sample(row, {20, 9}, Dtype::kFloat64);
    if (!problem.labels.empty() || !problem.extras.empty()) continue;
    for (double& t : problem.targets) t = static_cast<float>(t);
    const absl::StatusOr<Answer> mixed =
        Solve(problem, {.target_dtype = Dtype::kFloat32});
    const absl::StatusOr<Answer> wide = Solve(problem);
    ASSERT_THAT(mixed, IsOk());
    ASSERT_THAT(wide, IsOk());
    EXPECT_TRUE(SameBits(*mixed, *wide)) << row.name;
  }
}

TEST(DtypesTest, TargetsMayBeIntegersAndBooleans) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Problem counts =
        Elements(MeanSquaredErrorParams{}, {2.5, 0, 2, 8}, {3, -1, 2, 70000});
    const absl::StatusOr<Answer> expected = Solve(counts, {.dtype = dtype});
    ASSERT_THAT(expected, IsOk());
    for (const Dtype integers : {Dtype::kInt32, Dtype::kInt64}) {
      const absl::StatusOr<Answer> answer =
          Solve(counts, {.dtype = dtype, .target_dtype = integers});
      ASSERT_THAT(answer, IsOk());
      EXPECT_TRUE(SameBits(*answer, *expected));
    }
    const Problem binary =
        Elements(BinaryCrossEntropyParams{.prediction_kind = kLogits},
                 {2.5, 0, 2, 8}, {1, 0, 0, 1});
    const absl::StatusOr<Answer> floats = Solve(binary, {.dtype = dtype});
    const absl::StatusOr<Answer> bools =
        Solve(binary, {.dtype = dtype, .target_dtype = Dtype::kBool});
    ASSERT_THAT(floats, IsOk());
    ASSERT_THAT(bools, IsOk());
    EXPECT_TRUE(SameBits(*bools, *floats));
    const Problem rows =
        Row(CategoricalCrossEntropyParams{.prediction_kind = kLogits},
            {2.5, 0, 2, 8}, {1, 0, 0, 1});
    const absl::StatusOr<Answer> dense = Solve(rows, {.dtype = dtype});
    ASSERT_THAT(dense, IsOk());
    for (const Dtype exact : {Dtype::kInt32, Dtype::kInt64, Dtype::kBool}) {
      const absl::StatusOr<Answer> answer =
          Solve(rows, {.dtype = dtype, .target_dtype = exact});
      ASSERT_THAT(answer, IsOk());
      EXPECT_TRUE(SameBits(*answer, *dense));
    }
  }
}

// Options that mean nothing.

struct BadOption {
  const char* name;
  LossParams params;
  const char* field;
};

class BadOptionTest : public testing::TestWithParam<BadOption> {};

TEST_P(BadOptionTest, IsRefusedByName) {
  const LossParams& params = GetParam().params;
  EXPECT_THAT(AllLosses::Find(params).validate(params),
              Violates(GetParam().field));
  // Also when a whole call is planned, whatever the tensors.
  EXPECT_THAT(Compute({.params = params}, {}, {}), Violates(GetParam().field));
}

constexpr BadOption kBadOptions[] = {
    {"huber_delta_zero", HuberParams{.delta = 0}, "options.delta"},
    {"huber_delta_negative", HuberParams{.delta = -1}, "options.delta"},
    {"huber_delta_nan", HuberParams{.delta = kNan}, "options.delta"},
    {"huber_delta_infinite", HuberParams{.delta = kInfinity}, "options.delta"},
    {"bce_kind_missing", BinaryCrossEntropyParams{}, "options.prediction_kind"},
    {"bce_log_probabilities",
     BinaryCrossEntropyParams{.prediction_kind = kLogProbabilities},
     "options.prediction_kind"},
    {"bce_smoothing_negative",
     BinaryCrossEntropyParams{.prediction_kind = kLogits,
                              .label_smoothing = -0.1},
     "options.label_smoothing"},
    {"bce_smoothing_above_one",
     BinaryCrossEntropyParams{.prediction_kind = kLogits,
                              .label_smoothing = 1.1},
     "options.label_smoothing"},
    {"bce_smoothing_nan",
     BinaryCrossEntropyParams{.prediction_kind = kLogits,
                              .label_smoothing = kNan},
     "options.label_smoothing"},
    {"bce_pos_weight_zero",
     BinaryCrossEntropyParams{.prediction_kind = kLogits, .pos_weight = 0},
     "options.pos_weight"},
    {"bce_pos_weight_nan",
     BinaryCrossEntropyParams{.prediction_kind = kLogits, .pos_weight = kNan},
     "options.pos_weight"},
    {"bce_pos_weight_infinite",
     BinaryCrossEntropyParams{.prediction_kind = kLogits,
                              .pos_weight = kInfinity},
     "options.pos_weight"},
    {"cce_kind_missing", CategoricalCrossEntropyParams{},
     "options.prediction_kind"},
    {"cce_smoothing",
     CategoricalCrossEntropyParams{.prediction_kind = kLogits,
                                   .label_smoothing = 2},
     "options.label_smoothing"},
    {"cce_z_loss_negative",
     CategoricalCrossEntropyParams{.prediction_kind = kLogits, .z_loss = -1},
     "options.z_loss"},
    {"cce_z_loss_infinite",
     CategoricalCrossEntropyParams{.prediction_kind = kLogits,
                                   .z_loss = kInfinity},
     "options.z_loss"},
    {"cce_z_loss_of_probabilities",
     CategoricalCrossEntropyParams{.prediction_kind = kProbabilities,
                                   .z_loss = 0.1},
     "options.z_loss"},
    {"scce_kind_missing", SparseCategoricalCrossEntropyParams{},
     "options.prediction_kind"},
    {"scce_smoothing",
     SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits,
                                         .label_smoothing = -1},
     "options.label_smoothing"},
    {"scce_z_loss_nan",
     SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits,
                                         .z_loss = kNan},
     "options.z_loss"},
    {"kld_kind_missing", KullbackLeiblerDivergenceParams{},
     "options.prediction_kind"},
};

std::string BadOptionName(const testing::TestParamInfo<BadOption>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Options, BadOptionTest, testing::ValuesIn(kBadOptions),
                         BadOptionName);

}  // namespace
}  // namespace lossd::test
