// Worked values at the edges: saturation, impossible classes, kinks, masked
// rows, denormals.

#include <xmmintrin.h>

#include <algorithm>
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

Problem Labelled(std::vector<double> logits, int64_t label) {
  Problem problem =
      Row(SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits},
          std::move(logits), {});
  problem.labels = {label};
  return problem;
}

void ExpectNear(const std::vector<double>& got,
                const std::vector<double>& expected, double relative) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], relative * std::abs(expected[i])) << i;
  }
}

bool IsPlusZero(double number) { return number == 0 && !std::signbit(number); }

constexpr BinaryCrossEntropyParams kBceLogits{.prediction_kind = kLogits};
constexpr CategoricalCrossEntropyParams kCceLogits{.prediction_kind = kLogits};

// E1
TEST(EdgeCaseTest, BinaryCrossEntropySaturates) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem =
        Elements(kBceLogits, {1000, 1000, -1000, -1000}, {1, 0, 1, 0});
    problem.spec.reduction = Reduction::kNone;
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_EQ(answer.row_losses, std::vector<double>({0, 1000, 1000, 0}));
    EXPECT_EQ(answer.gradient, std::vector<double>({0, 1, -1, 0}));
  }
}

// E2
TEST(EdgeCaseTest, ConfidentBinaryCrossEntropyIsNotZero) {
  const Answer answer = MustSolve(Elements(kBceLogits, {40}, {1}));
  ExpectNear({answer.result.loss}, {4.248354255291589e-18}, 1e-15);
  ExpectNear(answer.gradient, {-4.248354255291589e-18}, 1e-15);
}

// E3
TEST(EdgeCaseTest, InfiniteBinaryCrossEntropyIsRefused) {
  const BinaryCrossEntropyParams params{.prediction_kind =
                                            PredictionKind::kProbabilities};
  EXPECT_THAT(Solve(Elements(params, {0}, {1})),
              Violates("predictions.data[0]"));
  EXPECT_THAT(Solve(Elements(params, {0.5, 1}, {1, 0})),
              Violates("predictions.data[1]"));
  EXPECT_THAT(Solve(Elements(params, {0}, {0.5})),
              Violates("predictions.data[0]"));
}

// E3, where it is finite: terms with factor 0 are 0, slopes are one-sided.
TEST(EdgeCaseTest, CertainAndRightProbabilitiesHaveOneSidedSlopes) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem =
        Elements(BinaryCrossEntropyParams{.prediction_kind =
                                              PredictionKind::kProbabilities},
                 {1, 0}, {1, 0});
    problem.spec.reduction = Reduction::kSum;
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_EQ(answer.result.loss, 0);
    EXPECT_EQ(answer.gradient, std::vector<double>({-1, 1}));
  }
}

// E4
TEST(EdgeCaseTest, ImpossibleClassWithoutMassIsFine) {
  const Answer answer =
      MustSolve(Row(kCceLogits, {-kInfinity, 0, 1}, {0, 1, 0}));
  ExpectNear({answer.result.loss}, {1.3132616875182228}, 1e-15);
  ExpectNear(answer.gradient, {0, -0.7310585786300049, 0.7310585786300049},
             1e-15);
}

// E5, E5b
TEST(EdgeCaseTest, ConfidentCrossEntropyKeepsItsDigitsWhateverTheShift) {
  for (const std::vector<double>& logits :
       {std::vector<double>{30, 0, 0}, {1000, 970, 970}}) {
    const Answer answer = MustSolve(Labelled(logits, 0));
    ExpectNear({answer.result.loss}, {1.8715245937678598e-13}, 1e-14);
    ExpectNear({answer.gradient[0]}, {-1.871524593767685e-13}, 1e-14);
  }
}

// E6
TEST(EdgeCaseTest, MultiHotTargetsAreUsedAsGiven) {
  const Answer answer = MustSolve(Row(kCceLogits, {2, 1, 0}, {0, 1, 1}));
  ExpectNear({answer.result.loss}, {3.815211928888761}, 1e-15);
  ExpectNear(answer.gradient,
             {1.3304819115496436, -0.5105430578904047, -0.8199388536592391},
             2e-15);
}

// E7, ignored rows; masked ones: reduction_test.cc.
TEST(EdgeCaseTest, AllRowsIgnoredIsZero) {
  Problem problem =
      Row(SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits,
                                              .ignore_index = -100},
          {1, 2, 3, 4, 5, 6}, {});
  problem.shape = {2, 3};
  problem.labels = {-100, -100};
  for (const Reduction reduction :
       {Reduction::kMean, Reduction::kWeightedMean}) {
    problem.spec.reduction = reduction;
    const Answer answer = MustSolve(problem);
    EXPECT_TRUE(IsPlusZero(answer.result.loss));
    EXPECT_EQ(answer.result.row_count, 0);
    EXPECT_EQ(answer.result.ignored_count, 2);
    for (const double slope : answer.gradient) EXPECT_TRUE(IsPlusZero(slope));
  }
}

// E8
TEST(EdgeCaseTest, DivergenceOfImpossibleClassWithoutMassIsZero) {
  const KullbackLeiblerDivergenceParams params{
      .prediction_kind = PredictionKind::kLogProbabilities};
  const Answer answer = MustSolve(Row(params, {-kInfinity, 0}, {0, 1}));
  EXPECT_EQ(answer.result.loss, 0);
  EXPECT_EQ(answer.gradient, std::vector<double>({0, -1}));
}

// E9
TEST(EdgeCaseTest, HuberMeetsAtDelta) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem = Elements(HuberParams{.delta = 1.5}, {1.5, -1.5}, {0, 0});
    problem.spec.reduction = Reduction::kNone;
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_EQ(answer.row_losses, std::vector<double>({1.125, 1.125}));
    EXPECT_EQ(answer.gradient, std::vector<double>({1.5, -1.5}));
  }
}

// E10
TEST(EdgeCaseTest, HingeAtItsKinkTakesTheActiveSide) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem = Elements(HingeParams{}, {1, -1}, {1, -1});
    problem.spec.reduction = Reduction::kSum;
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_EQ(answer.result.loss, 0);
    EXPECT_EQ(answer.gradient, std::vector<double>({-1, 1}));
  }
}

// E11
TEST(EdgeCaseTest, AbsoluteErrorAtItsKinkHasNoSlope) {
  const Answer answer =
      MustSolve(Elements(MeanAbsoluteErrorParams{}, {2.5}, {2.5}));
  EXPECT_EQ(answer.result.loss, 0);
  EXPECT_TRUE(IsPlusZero(answer.gradient[0]));
}

// E12
TEST(EdgeCaseTest, LogarithmicErrorEndsAtMinusOne) {
  const MeanSquaredLogarithmicErrorParams params;
  EXPECT_THAT(Solve(Elements(params, {-1}, {0})),
              Violates("predictions.data[0]"));
  const Answer answer = MustSolve(Elements(params, {-0.5}, {0}));
  ExpectNear({answer.result.loss}, {std::log(0.5) * std::log(0.5)}, 1e-15);
  ExpectNear(answer.gradient, {2 * std::log(0.5) / 0.5}, 1e-15);
  EXPECT_NEAR(answer.result.loss, 0.480453013918, 1e-12);
  EXPECT_NEAR(answer.gradient[0], -2.772588722240, 1e-12);
}

// E13 and E19: bad_input_test.cc. E18: threads_test.cc, simd_targets_test.cc.

// E17
class MaskedRowTest : public testing::TestWithParam<LossCase> {
 protected:
  static constexpr size_t kRows = 600;
  static constexpr int64_t kColumns = 11;

  // Fills a row with what no loss takes.
  static void Poison(Problem& problem, size_t row) {
    const double poison[] = {kNan, kInfinity, -kInfinity, 1e300};
    for (size_t k = 0; k < problem.columns(); ++k) {
      const size_t i = row * problem.columns() + k;
      problem.predictions[i] = poison[k % 4];
    }
    const size_t targets = problem.targets.size() / problem.rows();
    for (size_t k = 0; k < targets; ++k) {
      problem.targets[row * targets + k] = poison[(k + 1) % 4];
    }
    const size_t indices = problem.target_indices.size() / problem.rows();
    for (size_t k = 0; k < indices; ++k) {
      problem.target_indices[row * indices + k] = 1 << 30;
    }
    for (Extra& extra : problem.extras) {
      const size_t size = extra.numbers.size() / problem.rows();
      for (size_t k = 0; k < size; ++k) {
        extra.numbers[row * size + k] = poison[(k + 2) % 4];
      }
    }
    if (!problem.labels.empty()) problem.labels[row] = 1 << 30;
    for (Extra& extra : problem.extras) {
      const size_t size = extra.numbers.size() / problem.rows();
      for (size_t k = 0; k < size; ++k) {
        extra.numbers[row * size + k] = poison[(k + 2) % 4];
      }
    }
  }
};

TEST_P(MaskedRowTest, ContainsWhateverItMay) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem =
        SampleRows(GetParam(), static_cast<int64_t>(kRows), kColumns, dtype);
    if (problem.rows() != kRows) return;
    for (const Reduction reduction :
         {Reduction::kNone, Reduction::kMean, Reduction::kWeightedMean}) {
      problem.spec.reduction = reduction;
      for (const size_t row : {size_t{0}, size_t{7}, kRows / 2, kRows - 1}) {
        Problem masked = problem;
        masked.mask.assign(kRows, 1);
        masked.mask[row] = 0;
        const Answer finite = MustSolve(masked, {.dtype = dtype});
        Poison(masked, row);
        const Answer poisoned = MustSolve(masked, {.dtype = dtype});
        EXPECT_TRUE(SameBits(poisoned, finite)) << "row " << row;
        for (size_t k = 0; k < masked.columns(); ++k) {
          ASSERT_TRUE(
              IsPlusZero(poisoned.gradient[row * masked.columns() + k]));
        }
        EXPECT_TRUE(IsPlusZero(poisoned.row_losses[row]));
      }
    }
  }
}

TEST_P(MaskedRowTest, AtTheEndIsAsIfItWereNotThere) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem =
        SampleRows(GetParam(), static_cast<int64_t>(kRows), kColumns, dtype);
    if (problem.rows() != kRows) return;
    const Problem without = Rows(problem, 0, kRows - 1);
    problem.mask.assign(kRows, 1);
    problem.mask[kRows - 1] = 0;
    Poison(problem, kRows - 1);
    Answer with = MustSolve(problem, {.dtype = dtype});
    ASSERT_EQ(with.row_losses.size(), kRows);
    with.row_losses.pop_back();
    with.gradient.resize(with.gradient.size() - problem.columns());
    for (auto& [name, gradient] : with.extra_gradients) {
      gradient.resize(gradient.size() - problem.columns());
    }
    EXPECT_TRUE(SameBits(with, MustSolve(without, {.dtype = dtype})));
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, MaskedRowTest, testing::ValuesIn(LossCases()),
                         CaseName);

// E20
TEST(DenormalTest, GradientsAreNotFlushed) {
  constexpr size_t kCount = 20000;
  Problem problem =
      Elements(MeanSquaredErrorParams{}, std::vector<double>(kCount, 0x1p-140),
               std::vector<double>(kCount, 0));
  problem.spec.reduction = Reduction::kSum;
  for (const int threads : {1, 4}) {
    const Answer answer =
        MustSolve(problem, {.dtype = Dtype::kFloat32, .threads = threads});
    for (const double slope : answer.gradient) ASSERT_EQ(slope, 0x1p-139);
  }
}

// A caller that flushes denormals, as training programs like to, gets the same
// bits, and finds its own mode unchanged.
TEST(DenormalTest, DoNotDependOnTheCallersMode) {
  const Problem problem =
      Elements(MeanAbsoluteErrorParams{}, {0x1p-140, 0x1p-130, 1}, {0, 0, 0});
  const Answer expected = MustSolve(problem, {.dtype = Dtype::kFloat32});
  TestCall call(problem, {.dtype = Dtype::kFloat32});
  const unsigned before = _mm_getcsr();
  constexpr unsigned kFlushToZero = 0x8000;
  constexpr unsigned kDenormalsAreZero = 0x0040;
  const unsigned flushing = before | kFlushToZero | kDenormalsAreZero;
  _mm_setcsr(flushing);
  const absl::StatusOr<Answer> answer = call.Run();
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  // Sticky exception flags are no mode.
  constexpr unsigned kFlags = 0x3F;
  EXPECT_EQ(after & ~kFlags, flushing & ~kFlags);
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(SameBits(*answer, expected));
  EXPECT_EQ(answer->row_losses[0], 0x1p-140);
}

// Weights are added up before the blocks run.
TEST(DenormalTest, WeightsAreNotFlushed) {
  Problem problem = Elements(MeanSquaredErrorParams{}, {1, 3}, {0, 0});
  problem.sample_weights = {0x1p-140, 0x1p-140};
  problem.spec.reduction = Reduction::kWeightedMean;
  TestCall call(problem,
                {.dtype = Dtype::kFloat32, .weight_dtype = Dtype::kFloat32});
  const unsigned before = _mm_getcsr();
  constexpr unsigned kFlushEverything = 0x8040;
  _mm_setcsr(before | kFlushEverything);
  const absl::StatusOr<Answer> answer = call.Run();
  _mm_setcsr(before);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->result.weight_sum, 0x1p-139);
  EXPECT_EQ(answer->result.loss, 5);
  EXPECT_EQ(answer->gradient, std::vector<double>({1, 3}));
}

// What float32 cannot hold is computed in double: the gradient itself fits.
TEST(ExtremeFactorTest, NormalizerBeyondFloat32) {
  Problem problem = Elements(MeanSquaredErrorParams{}, {1e15}, {0});
  problem.spec.normalizer = 1e50;
  const Answer answer = MustSolve(problem, {.dtype = Dtype::kFloat32});
  ExpectNear({answer.result.loss}, {1e-20}, 1e-6);
  ExpectNear(answer.gradient, {2e-35}, 1e-6);
}

TEST(ExtremeFactorTest, WeightsBeyondFloat32) {
  Problem problem = Elements(MeanSquaredErrorParams{}, {1e10, 1e10}, {0, 0});
  problem.spec.reduction = Reduction::kSum;
  problem.sample_weights = {1e-44, 1};
  const Answer answer = MustSolve(problem, {.dtype = Dtype::kFloat32});
  ExpectNear(answer.gradient, {2e-34, 2e10}, 1e-6);
}

TEST(ExtremeFactorTest, OptionsBeyondFloat32) {
  const Form form{.dtype = Dtype::kFloat32, .gradient_dtype = Dtype::kFloat64};
  BinaryCrossEntropyParams bce = kBceLogits;
  bce.pos_weight = 1e39;
  ExpectNear(MustSolve(Elements(bce, {0, 0}, {0, 1}), form).gradient,
             {0.25, -0.25e39}, 1e-6);
  const Answer huber =
      MustSolve(Elements(HuberParams{.delta = 1e-50}, {3}, {1}), form);
  ExpectNear({huber.result.loss}, {2e-50}, 1e-6);
  ExpectNear(huber.gradient, {1e-50}, 1e-6);
  Problem columns = Row(kBceLogits, {0, 0}, {1, 1});
  columns.pos_weight = {1e39, 1};
  ExpectNear(MustSolve(columns, form).gradient, {-0.25e39, -0.25}, 1e-6);
}

TEST(ExtremeFactorTest, LogarithmicErrorOverTheWholeRangeOfFloat32) {
  const Answer answer =
      MustSolve(Elements(MeanSquaredLogarithmicErrorParams{},
                         {1e35, -0.99999994}, {-0.99999994, 1e35}),
                {.dtype = Dtype::kFloat32});
  // 1 - 0.99999994 is 2^-24 in float.
  const double log = std::log(1e35) + 24 * std::log(2);
  ExpectNear({answer.result.loss}, {log * log}, 1e-6);
  ExpectNear(answer.gradient, {log / 1e35, -log * 0x1p24}, 1e-6);
}

// The only class with mass need not have mass 1: its slope is still minus the
// sum of the others'.
TEST(EdgeCaseTest, OneClassWithMassKeepsTheDigitsOfItsSlope) {
  const KullbackLeiblerDivergenceParams kld{.prediction_kind = kLogits};
  const double e = std::exp(-40.0);
  ExpectNear(MustSolve(Row(kld, {40, 0, 0}, {1, 0, 0})).gradient,
             {-2 * e, e, e}, 1e-14);
  const double f = std::exp(-20.0);
  ExpectNear(MustSolve(Row(kCceLogits, {20, 0, 0}, {0.5, 0, 0}),
                       {.dtype = Dtype::kFloat32})
                 .gradient,
             {-f, 0.5 * f, 0.5 * f}, 1e-6);
  CategoricalCrossEntropyParams weighted = kCceLogits;
  Problem problem = Row(weighted, {20, 0, 0}, {0.5, 0, 0});
  problem.class_weights = {4, 1, 1};
  ExpectNear(MustSolve(problem).gradient, {-4 * f, 2 * f, 2 * f}, 1e-8);
}

// A log-probability may be rounded to a little above 0.
TEST(EdgeCaseTest, LogTargetsALittleAboveZeroAreUsedAsGiven) {
  const KullbackLeiblerDivergenceParams kld{
      .prediction_kind = PredictionKind::kLogProbabilities,
      .target_kind = TargetKind::kLogProbabilities};
  const Answer answer =
      MustSolve(Row(kld, {-1, -kInfinity}, {9e-6, -kInfinity}));
  ExpectNear({answer.result.loss}, {std::exp(9e-6) * (9e-6 + 1)}, 1e-15);
  ExpectNear(answer.gradient, {-std::exp(9e-6), 0}, 1e-15);
}

// One class: nothing to choose.
TEST(EdgeCaseTest, OneClassHasNoLoss) {
  const Answer answer = MustSolve(Labelled({12}, 0));
  EXPECT_EQ(answer.result.loss, 0);
  EXPECT_EQ(answer.gradient, std::vector<double>({0}));
}

// A target row without mass, which some use as a mask.
TEST(EdgeCaseTest, TargetsWithoutMassHaveNoLoss) {
  const Answer answer = MustSolve(Row(kCceLogits, {3, 1, 2}, {0, 0, 0}));
  EXPECT_EQ(answer.result.loss, 0);
  EXPECT_EQ(answer.gradient, std::vector<double>({0, 0, 0}));
}

TEST(EdgeCaseTest, LogitsFarApartNeitherOverflowNorLoseTheLoss) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer =
        MustSolve(Labelled({1e4, -1e4, 0}, 1), {.dtype = dtype});
    EXPECT_EQ(answer.result.loss, 2e4);
    EXPECT_EQ(answer.gradient, std::vector<double>({1, -1, 0}));
  }
}

TEST(EdgeCaseTest, NegativeZeroIsZero) {
  for (const LossCase& row : LossCases()) {
    if (row.name != "mse" && row.name != "mae" && row.name != "huber") continue;
    const Answer answer = MustSolve(Elements(row.params, {-0.0}, {0.0}));
    EXPECT_TRUE(IsPlusZero(answer.result.loss)) << row.name;
    EXPECT_EQ(answer.gradient[0], 0) << row.name;
  }
}

}  // namespace
}  // namespace lossd::test
