// Worked values, edges, semantics and refusals of the regression losses beyond
// the first four; the Gaussian ones are in gaussian_test.cc.

#include <cmath>
#include <cstddef>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/problem.h"
#include "tests/support/worked_values.h"

namespace lossd::test {
namespace {

const std::vector<double> kPredictions = {0.5, -1, 3, 0.2};
const std::vector<double> kTargets = {0, 1, 2.5, 0.2};

TEST(SmoothL1Test, HasTheWorkedValue) {
  ExpectAnswer(Elements(SmoothL1Params{.beta = 0.3}, kPredictions, kTargets),
               0.6375, {0.25, -0.25, 0.25, 0});
  // torch.nn.functional.smooth_l1_loss of PyTorch 1.13.
  ExpectAnswer(Elements(SmoothL1Params{.beta = 0.5}, kPredictions, kTargets),
               0.5625, {0.25, -0.25, 0.25, 0});
  ExpectAnswer(Elements(SmoothL1Params{}, kPredictions, kTargets), 0.4375,
               {0.125, -0.25, 0.125, 0});
}

TEST(SmoothL1Test, IsHuberDividedByItsThreshold) {
  // A power of two divides exactly.
  const Answer huber =
      MustSolve(Elements(HuberParams{.delta = 0.5}, kPredictions, kTargets));
  const Answer smooth =
      MustSolve(Elements(SmoothL1Params{.beta = 0.5}, kPredictions, kTargets));
  EXPECT_EQ(smooth.result.loss, 2 * huber.result.loss);
}

// PyTorch 1.13 has a slope of -1 at 0 there.
TEST(SmoothL1Test, IsTheAbsoluteErrorForBetaZero) {
  for (const Semantics semantics : kEverySemantics) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
      Problem problem = Under(semantics, Elements(SmoothL1Params{.beta = 0},
                                                  {2, 0, -3}, {2, 1, -4}));
      problem.spec.reduction = Reduction::kSum;
      const Answer answer = MustSolve(problem, {.dtype = dtype});
      EXPECT_EQ(answer.result.loss, 2);
      EXPECT_EQ(answer.gradient, std::vector<double>({0, -1, 1}));
    }
  }
}

TEST(SmoothL1Test, RefusesBadOptions) {
  ExpectRefused(Elements(SmoothL1Params{.beta = -0.5}, {1}, {1}),
                "options.beta", ">= 0");
  ExpectRefused(Elements(SmoothL1Params{.beta = kNan}, {1}, {1}),
                "options.beta", "nan");
}

TEST(LogCoshTest, HasTheWorkedValue) {
  ExpectAnswer(
      Elements(LogCoshParams{}, kPredictions, kTargets), 0.39130794031860494,
      {0.11552928931500243, -0.24100689501895423, 0.11552928931500243, 0});
}

// E14: where the naive form gives 0.
TEST(LogCoshTest, KeepsTheDigitsOfSmallErrors) {
  const Answer answer = MustSolve(Elements(LogCoshParams{}, {1e-9}, {0}));
  ExpectNear({answer.result.loss}, {5e-19}, 1e-15);
  ExpectNear(answer.gradient, {1e-9}, 1e-15);
}

TEST(LogCoshTest, IsLinearFarOut) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Problem problem = Elements(LogCoshParams{}, {0x1p120, 0}, {0, 0x1p120});
    problem.spec.reduction = Reduction::kNone;
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_EQ(answer.row_losses, std::vector<double>({0x1p120, 0x1p120}));
    EXPECT_EQ(answer.gradient, std::vector<double>({1, -1}));
  }
}

TEST(LogCoshTest, PropagatesInfinity) {
  const Answer answer = MustSolve(
      Under(Semantics::kKeras, Elements(LogCoshParams{}, {-kInfinity}, {0})));
  EXPECT_EQ(answer.result.loss, kInfinity);
  EXPECT_EQ(answer.gradient, std::vector<double>({-1}));
}

const std::vector<double> kPoints = {2.5, 0, 2, 8};
const std::vector<double> kTruths = {3, -0.5, 2.25, 7};

TEST(PercentageErrorTest, HasTheWorkedValue) {
  ExpectAnswer(
      Elements(MeanAbsolutePercentageErrorParams{}, kPoints, kTruths),
      35.51587301587302,
      {-8.333333333333334, 50, -11.11111111111111, 3.5714285714285716});
}

TEST(PercentageErrorTest, FloorsAndCountsTinyTargets) {
  Problem problem = Elements(MeanAbsolutePercentageErrorParams{.epsilon = 0.5},
                             {1, 1, 1, 0.25, 9}, {0, -0.25, 0.5, 0.25, 0});
  problem.spec.reduction = Reduction::kNone;
  problem.mask = {1, 1, 1, 1, 0};
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer =
        MustSolve(problem, {.dtype = dtype, .diagnostics = true});
    EXPECT_EQ(answer.row_losses, std::vector<double>({200, 250, 100, 0, 0}));
    EXPECT_EQ(answer.gradient, std::vector<double>({200, 200, 200, 0, 0}));
    EXPECT_EQ(Figure(answer, "tiny_target_count"), 3);
  }
}

TEST(PercentageErrorTest, RefusesBadOptions) {
  ExpectRefused(
      Elements(MeanAbsolutePercentageErrorParams{.epsilon = 0}, {1}, {1}),
      "options.epsilon", "> 0");
}

TEST(QuantileTest, HasTheWorkedValue) {
  ExpectAnswer(Elements(QuantileParams{.quantile = 0.9}, kPoints, kTruths),
               0.20625, {-0.225, 0.025, -0.225, 0.025});
}

TEST(QuantileTest, IsHalfTheAbsoluteErrorByDefault) {
  const Answer quantile =
      MustSolve(Elements(QuantileParams{}, {1, 2, 5}, {1, 4, 1}));
  const Answer absolute =
      MustSolve(Elements(MeanAbsoluteErrorParams{}, {1, 2, 5}, {1, 4, 1}));
  EXPECT_EQ(quantile.result.loss, absolute.result.loss / 2);
  EXPECT_EQ(quantile.gradient[0], 0);
}

Problem OfQuantiles(std::vector<double> quantiles) {
  Problem problem = Elements(QuantileParams{}, {1, 1, 1, 1}, {3, 3, 0, 0});
  problem.shape = {2, 2};
  problem.column = std::move(quantiles);
  return problem;
}

TEST(QuantileTest, MayBeAnotherForEachColumn) {
  Problem problem = OfQuantiles({0.25, 0.875});
  problem.spec.reduction = Reduction::kNone;
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_EQ(answer.row_losses, std::vector<double>({1.125, 0.4375}));
    EXPECT_EQ(answer.gradient,
              std::vector<double>({-0.125, -0.4375, 0.375, 0.0625}));
  }
}

// As floats 1 - 0.99999 would be off by 0.1 %.
TEST(QuantileTest, KeepsTheDigitsOfOneMinusTheQuantile) {
  Problem problem = OfQuantiles({0.99999, 0.5});
  problem.spec.reduction = Reduction::kNone;
  const Answer answer = MustSolve(problem, {.dtype = Dtype::kFloat32});
  // Rounded once to a float, after 1 - 0.99999 rounds to a double.
  EXPECT_NEAR(answer.gradient[2] / 0.5e-5, 1, 0x1p-23);
  problem.column.clear();
  problem.spec.params = QuantileParams{.quantile = 0.99999};
  const Answer option = MustSolve(problem, {.dtype = Dtype::kFloat32});
  EXPECT_NEAR(option.gradient[2] / 0.5e-5, 1, 0x1p-23);
}

TEST(QuantileTest, RefusesBadQuantiles) {
  for (const double quantile : {0.0, 1.0, -0.5, kNan}) {
    ExpectRefused(Elements(QuantileParams{.quantile = quantile}, {1}, {1}),
                  "options.quantile", "(0, 1)");
    ExpectRefused(OfQuantiles({0.5, quantile}),
                  "extra_inputs.quantiles.data[1]", "(0, 1)");
  }
  ExpectRefused(OfQuantiles({0.5, 0.5, 0.5}), "extra_inputs.quantiles.shape",
                "[3]");
  Problem both = OfQuantiles({0.5, 0.5});
  both.spec.params = QuantileParams{.quantile = 0.5};
  ExpectRefused(both, "extra_inputs.quantiles", "options.quantile");
}

const std::vector<double> kLogRates = {0.5, -1, 1.2, 0};
const std::vector<double> kRates = {0.5, 1, 1.2, 0.1};
const std::vector<double> kCounts = {2, 0, 3, 1};

TEST(PoissonTest, HasTheWorkedValue) {
  ExpectAnswer(Elements(PoissonParams{}, {0.5, -1, 1.2}, {2, 0, 3}),
               0.24557254486937272,
               {-0.11709290976662394, 0.1226264803904808, 0.10670564091218242});
}

// torch.nn.functional.poisson_nll_loss of PyTorch 1.13.
TEST(PoissonTest, AgreesWithPytorch) {
  for (const Semantics semantics : {Semantics::kStrict, Semantics::kPytorch}) {
    ExpectAnswer(
        Under(semantics,
              Elements(PoissonParams{.full = true}, kLogRates, kCounts)),
        1.0381514156889278,
        {-0.08781968232496795, 0.09196986029286058, 0.08002923068413681, 0});
    ExpectAnswer(
        Under(semantics,
              Elements(PoissonParams{.log_input = false}, kRates, kCounts)),
        1.4854786546830194,
        {-0.7499999800000003, 0.25, -0.3749999947916668, -2.249999750000025});
    const PoissonParams full{.log_input = false, .full = true, .epsilon = 1e-3};
    ExpectAnswer(
        Under(semantics, Elements(full, kRates, kCounts)), 2.085339379197369,
        {-0.748003992015968, 0.25, -0.37447960033305583, -2.2252475247524752});
  }
}

// mean(p - t log(p + 1e-7)), Keras' formula, by PyTorch in float64.
TEST(PoissonTest, PredictsRatesUnderKeras) {
  ExpectAnswer(
      Under(Semantics::kKeras, Elements(PoissonParams{}, kRates, kCounts)),
      1.4854782834331557,
      {-0.7499998000000401, 0.25, -0.374999947916671, -2.2499975000025});
  const PoissonParams asked{.log_input = true};
  ExpectAnswer(
      Under(Semantics::kKeras, Elements(asked, {0.5, -1, 1.2}, {2, 0, 3})),
      0.24557254486937272,
      {-0.11709290976662394, 0.1226264803904808, 0.10670564091218242});
}

// The terms are as large as 1e7; left is log(2 pi t) / 2, of Stirling's
// approximation at its own count.
TEST(PoissonTest, KeepsTheDigitsOfFullInFloat32) {
  const Answer answer =
      MustSolve(Elements(PoissonParams{.full = true}, {0}, {1}),
                {.dtype = Dtype::kFloat32});
  EXPECT_EQ(answer.result.loss, 1);
  // A float's logarithm of the count is off by 2^-24 of 14 at most, whose
  // square is multiplied by half the count: 3e-7.
  const Answer large =
      MustSolve(Elements(PoissonParams{.full = true}, {std::log(1e6)}, {1e6}),
                {.dtype = Dtype::kFloat32});
  EXPECT_NEAR(large.result.loss, 7.8266938093, 1e-6);
}

TEST(PoissonTest, RefusesWhatIsOutsideItsDomain) {
  ExpectRefused(Elements(PoissonParams{}, {0, 0}, {1, -1}), "targets.data[1]",
                "counts >= 0");
  const PoissonParams rates{.log_input = false};
  ExpectRefused(Elements(rates, {1, -0.5}, {1, 1}), "predictions.data[1]",
                "log_input");
  ExpectRefused(Elements(rates, {1, 1}, {-2, 1}), "targets.data[0]",
                "counts >= 0");
  ExpectRefused(Elements(PoissonParams{}, {0, 710}, {1, 1}),
                "predictions.data[1]", "");
  ExpectRefused(Elements(PoissonParams{}, {0, 89}, {1, 1}),
                "predictions.data[1]", "", {.dtype = Dtype::kFloat32});
  ExpectRefused(Elements(PoissonParams{.epsilon = 0}, {1}, {1}),
                "options.epsilon", "> 0");
  // A rate of 0 has a finite loss: its logarithm is that of epsilon.
  const Answer answer = MustSolve(Elements(rates, {0}, {2}));
  ExpectNear({answer.result.loss}, {-2 * std::log(1e-8)});
  ExpectNear(answer.gradient, {1 - 2e8});
}

// The first as torch.nn.functional.poisson_nll_loss of PyTorch 1.13, which
// checks nothing.
TEST(PoissonTest, PropagatesUnderPytorch) {
  ExpectAnswer(
      Under(Semantics::kPytorch, Elements(PoissonParams{}, {0.5, 1}, {-1, 2})),
      1.4335015495795866, {1.324360635350064, 0.35914091422952255});
  const Answer infinite = MustSolve(
      Under(Semantics::kPytorch, Elements(PoissonParams{}, {800}, {1})));
  EXPECT_EQ(infinite.result.loss, kInfinity);
  const Answer negative = MustSolve(
      Under(Semantics::kKeras, Elements(PoissonParams{}, {-1, 1}, {1, 1})));
  EXPECT_TRUE(std::isnan(negative.result.loss));
  EXPECT_TRUE(std::isnan(negative.gradient[0]));
  ExpectNear({negative.gradient[1]}, {(1 - 1 / (1 + 1e-7)) / 2}, 1e-8);
}

// Nothing is lost where the logarithm of a rate is that of nearly 1.
TEST(PoissonTest, KeepsTheDigitsOfRatesNearOne) {
  const Answer answer = MustSolve(Elements(
      PoissonParams{.log_input = false, .epsilon = 1}, {1e-10}, {1e10}));
  // 1e-10 - 1e10 log(1 + 1e-10).
  EXPECT_NEAR(answer.result.loss, -0.99999999985, 1e-15);
}

// Problems of three rows whose middle one can be spoilt.
std::vector<Problem> ThreeRows() {
  const std::vector<double> p = {0.5, 1, 2};
  const std::vector<double> t = {1, 2, 1};
  std::vector<Problem> all;
  for (const LossParams& params :
       {LossParams(SmoothL1Params{}), LossParams(LogCoshParams{}),
        LossParams(MeanAbsolutePercentageErrorParams{}),
        LossParams(QuantileParams{}), LossParams(PoissonParams{}),
        LossParams(PoissonParams{.log_input = false})}) {
    all.push_back(Elements(params, p, t));
  }
  for (const char* name : {"variance", "log_variance"}) {
    all.push_back(Elements(GaussianNllParams{}, p, t, {{name, {1, 2, 3}}}));
  }
  all.push_back(Elements(GaussianKlParams{}, p, {},
                         {{"log_variance", {0.5, 0, -1}},
                          {"prior_mean", {0, 1, 2}},
                          {"prior_log_variance", {0, -1, 1}}}));
  return all;
}

// What may be NaN: predictions, targets and extra inputs.
std::vector<Problem> Spoilt(const Problem& problem) {
  std::vector<Problem> all(2 + problem.extras.size(), problem);
  all[0].predictions[1] = kNan;
  if (!problem.targets.empty()) all[1].targets[1] = kNan;
  if (problem.targets.empty()) all[1].predictions[1] = kNan;
  for (size_t k = 0; k < problem.extras.size(); ++k) {
    all[2 + k].extras[k].numbers[1] = kNan;
  }
  return all;
}

TEST(RegressionTest, PropagatesNanToItsRowOnly) {
  for (const Problem& problem : ThreeRows()) {
    const Answer whole = MustSolve(problem);
    for (const Problem& spoilt : Spoilt(problem)) {
      EXPECT_FALSE(Solve(spoilt).ok());
      for (const Semantics semantics :
           {Semantics::kPytorch, Semantics::kKeras}) {
        Problem spoilt_under = Under(semantics, spoilt);
        // Not what the semantics makes of it.
        AllLosses::Resolve(Semantics::kStrict, &spoilt_under.spec.params);
        const Answer answer = MustSolve(spoilt_under);
        EXPECT_TRUE(std::isnan(answer.result.loss));
        EXPECT_TRUE(std::isnan(answer.row_losses[1]));
        EXPECT_TRUE(std::isnan(answer.gradient[1]));
        for (const auto& [name, gradient] : answer.extra_gradients) {
          EXPECT_TRUE(std::isnan(gradient[1])) << name;
          EXPECT_EQ(gradient[0], whole.extra_gradients.at(name)[0]);
        }
        for (const size_t row : {size_t{0}, size_t{2}}) {
          EXPECT_EQ(answer.row_losses[row], whole.row_losses[row]);
          EXPECT_EQ(answer.gradient[row], whole.gradient[row]);
        }
      }
    }
  }
}

TEST(RegressionTest, MaskedRowsMayHoldAnything) {
  for (Problem problem : ThreeRows()) {
    problem.mask = {1, 0, 1};
    const Answer whole = MustSolve(problem);
    for (const Problem& spoilt : Spoilt(problem)) {
      const Answer answer = MustSolve(spoilt);
      EXPECT_TRUE(SameBits(answer, whole));
      EXPECT_TRUE(answer.gradient[1] == 0 && !std::signbit(answer.gradient[1]));
    }
  }
}

}  // namespace
}  // namespace lossd::test
