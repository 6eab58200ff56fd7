// Options of the cross-entropy family, and targets of some classes only: worked
// values and what is refused.

#include <cstdint>
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

TEST(LogitOptionsTest, SoftcapAndTemperatureAreTorchs) {
  // cross_entropy(2 tanh(x / 2) / 0.5) by torch's autograd.
  const Answer answer = MustSolve(Classes(
      CategoricalCrossEntropyParams{
          .prediction_kind = kLogits, .logit_softcap = 2, .temperature = 0.5},
      kTwoRows, kSoft, 2));
  ExpectWorked({answer.result.loss},
               {0.17828713083635767 + 1.2249870537502943});
  ExpectWorked(answer.gradient, {0.16617542518955863, -0.12596270221625394,
                                 0.08331423607746044, -0.16802210512064886,
                                 -0.2113275370163356, 0.08410574337122305});
}

// Capped, both logits are 1.
TEST(LogitOptionsTest, AccuracyIsOfTheLogitsAsGiven) {
  const absl::StatusOr<Answer> answer =
      Solve(Classes(CategoricalCrossEntropyParams{.prediction_kind = kLogits,
                                                  .logit_softcap = 1},
                    {30, 40}, {0, 1}, 1),
            {.diagnostics = true});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(Figure(*answer, "accuracy"), 1);
}

TEST(LogitOptionsTest, TemperatureOfTheDivergenceIsTorchs) {
  const std::vector<double> targets = {0.1, 0.6, 0.3, 0, 0.25, 0.75};
  KullbackLeiblerDivergenceParams params{.prediction_kind = kLogits,
                                         .temperature = 2};
  // kl_div of log_softmax(x / 2), times 4, by torch's autograd.
  const Answer squared = MustSolve(Classes(params, kTwoRows, targets, 2));
  ExpectWorked({squared.result.loss},
               {0.21778368387524058 + 0.5359218476834555});
  ExpectWorked(squared.gradient, {0.19175596372884976, -0.11897573674663031,
                                  -0.07278022698221939, 0.17285605748815247,
                                  -0.15976122520075065, -0.013094832287401714});
  params.temperature_squared = false;
  const Answer plain = MustSolve(Classes(params, kTwoRows, targets, 2));
  ExpectWorked({4 * plain.result.loss}, {squared.result.loss});
}

TEST(LogitOptionsTest, AreRefusedWhereThereAreNoLogits) {
  using Dense = CategoricalCrossEntropyParams;
  const auto solve = [](const LossParams& params) {
    return Solve(Classes(params, {0.5, 0.5}, {1, 0}));
  };
  for (const PredictionKind kind : {kProbabilities, kLogProbabilities}) {
    EXPECT_THAT(solve(Dense{.prediction_kind = kind, .logit_softcap = 1}),
                Violates("options.logit_softcap"));
    EXPECT_THAT(solve(Dense{.prediction_kind = kind, .temperature = 2}),
                Violates("options.temperature"));
    EXPECT_THAT(solve(KullbackLeiblerDivergenceParams{.prediction_kind = kind,
                                                      .temperature = 2}),
                Violates("options.temperature"));
  }
  EXPECT_THAT(solve(Dense{.prediction_kind = kLogits, .logit_softcap = -1}),
              Violates("options.logit_softcap"));
  for (const double temperature : {0.0, -1.0, kInfinity}) {
    EXPECT_THAT(
        solve(Dense{.prediction_kind = kLogits, .temperature = temperature}),
        Violates("options.temperature"));
  }
}

Problem TopK(TailPolicy policy) {
  Problem problem =
      Classes(CategoricalCrossEntropyParams{.prediction_kind = kLogits,
                                            .tail_policy = policy},
              kTwoRows, {0.75, 0.25, 0.9, 0.1}, 2);
  problem.target_indices = {1, 0, 2, 0};
  return problem;
}

TEST(TopKTargetsTest, IsTheWorkedValue) {
  const Answer answer = MustSolve(TopK(TailPolicy::kDrop));
  ExpectWorked({answer.result.loss}, {0.5360224998010585});
  ExpectWorked(answer.gradient, {-0.009388051188925453, -0.06073414039411873,
                                 0.07012219158304425, -0.02428866660239701,
                                 0.007007155792144033, 0.017281510810253087});
}

// torch.log_softmax times the completed targets.
TEST(TopKTargetsTest, TailPoliciesCompleteTheTargets) {
  Problem problem = TopK(TailPolicy::kRenormalize);
  // Of 0.4 and of 0.5.
  problem.targets = {0.3, 0.1, 0.4, 0.1};
  const Answer renormalized = MustSolve(problem);
  ExpectWorked({renormalized.result.loss},
               {0.35718439205397245 + 0.3238381077470862});
  ExpectWorked(
      renormalized.gradient,
      {-0.00938805118892548, -0.060734140394118785, 0.07012219158304424,
       -0.07428866660239701, 0.007007155792144033, 0.06728151081025302});
  problem = TopK(TailPolicy::kUniformTail);
  // 0.2 go to class 2, 0.5 to class 1.
  problem.targets = {0.6, 0.2, 0.4, 0.1};
  const Answer uniform = MustSolve(problem);
  ExpectWorked({uniform.result.loss},
               {0.48218439205397245 + 1.2288381077470862});
  ExpectWorked(uniform.gradient, {0.015611948811074514, 0.014265859605881226,
                                  -0.029877808416955767, -0.02428866660239701,
                                  -0.24299284420785597, 0.26728151081025303});
}

TEST(TopKTargetsTest, ClassesTwiceAddUpAndPaddingDoesNotCount) {
  Problem problem = TopK(TailPolicy::kDrop);
  problem.targets = {0.5, 0.25, 0.25, 0, 0.9, 0.1, 0, 0};
  problem.target_indices = {1, 0, 1, 99, 2, 0, -1, 2};
  const Answer answer = MustSolve(problem);
  ExpectWorked({answer.result.loss}, {0.5360224998010585});
}

TEST(TopKTargetsTest, AllClassesAreDenseTargets) {
  Problem indexed = TopK(TailPolicy::kUniformTail);
  indexed.targets = kSoft;
  indexed.target_indices = {0, 1, 2, 0, 1, 2};
  const Answer dense = MustSolve(
      Classes(CategoricalCrossEntropyParams{.prediction_kind = kLogits},
              kTwoRows, kSoft, 2));
  EXPECT_TRUE(SameBits(MustSolve(indexed), dense));
}

// Class weights, their sum and the diagnostics are those of the completed
// targets too.
TEST(TopKTargetsTest, CompletedTargetsAreDenseTargets) {
  for (const TailPolicy policy : {TailPolicy::kDrop, TailPolicy::kRenormalize,
                                  TailPolicy::kUniformTail}) {
    Problem indexed = TopK(policy);
    indexed.targets = {0.25, 0.125, 0.5, 0.125};
    indexed.class_weights = {1, 2, 4};
    indexed.spec.reduction = Reduction::kWeightedMean;
    Problem dense =
        Classes(CategoricalCrossEntropyParams{.prediction_kind = kLogits},
                kTwoRows, {}, 2);
    if (policy == TailPolicy::kDrop) {
      dense.targets = {0.125, 0.25, 0, 0.125, 0, 0.5};
    } else if (policy == TailPolicy::kRenormalize) {
      dense.targets = {0.125 / 0.375, 0.25 / 0.375, 0, 0.2, 0, 0.8};
    } else {
      dense.targets = {0.125, 0.25, 0.625, 0.125, 0.375, 0.5};
    }
    dense.class_weights = indexed.class_weights;
    dense.spec.reduction = Reduction::kWeightedMean;
    const Form form{.diagnostics = true};
    const absl::StatusOr<Answer> of_indexed = Solve(indexed, form);
    const absl::StatusOr<Answer> of_dense = Solve(dense, form);
    ASSERT_THAT(of_indexed, IsOk());
    ASSERT_THAT(of_dense, IsOk());
    EXPECT_TRUE(SameBits(*of_indexed, *of_dense)) << static_cast<int>(policy);
  }
}

TEST(TopKTargetsTest, DiagnosticsDoNotReadClassesThatAreNone) {
  Problem problem = TopK(TailPolicy::kDrop);
  for (const int64_t index : {int64_t{1} << 40, int64_t{-1} << 61}) {
    problem.target_indices[2] = index;
    EXPECT_THAT(Solve(problem, {.diagnostics = true}),
                Violates("extra_inputs.target_indices.data[2]"));
  }
}

TEST(TopKTargetsTest, BadInputNamesFieldAndElement) {
  for (const int64_t index : {int64_t{3}, int64_t{-1}}) {
    Problem problem = TopK(TailPolicy::kDrop);
    problem.target_indices[2] = index;
    for (const Semantics semantics :
         {Semantics::kStrict, Semantics::kPytorch}) {
      problem.spec.semantics = semantics;
      EXPECT_THAT(Solve(problem),
                  Violates("extra_inputs.target_indices.data[2]"));
    }
  }
  for (const double weight : {-0.5, kNan, kInfinity}) {
    Problem problem = TopK(TailPolicy::kDrop);
    problem.targets[3] = weight;
    EXPECT_THAT(Solve(problem), Violates("targets.data[3]"));
  }
}

}  // namespace
}  // namespace lossd::test
