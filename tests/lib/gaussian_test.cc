// Worked values, edges, semantics and refusals of gaussian_nll and gaussian_kl.

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/problem.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/worked_values.h"

namespace lossd::test {
namespace {

const std::vector<double> kPoints = {2.5, 0, 2, 8};
const std::vector<double> kTruths = {3, -0.5, 2.25, 7};
const std::vector<double> kVariances = {0.5, 1, 2, 0.25};

TEST(GaussianNllTest, HasTheWorkedValue) {
  const Problem problem = Elements(GaussianNllParams{}, kPoints, kTruths,
                                   {{"variance", kVariances}});
  ExpectAnswer(problem, 0.42436945486001365, {-0.25, 0.125, -0.03125, 1});
  ExpectNear(MustSolve(problem).extra_gradients.at("variance"),
             {0.125, 0.09375, 0.060546875, -1.5});
}

TEST(GaussianNllTest, TakesLogarithmsToo) {
  std::vector<double> logarithms;
  for (const double v : kVariances) logarithms.push_back(std::log(v));
  const Problem problem = Elements(GaussianNllParams{}, kPoints, kTruths,
                                   {{"log_variance", logarithms}});
  ExpectAnswer(problem, 0.42436945486001365, {-0.25, 0.125, -0.03125, 1});
  // The slopes of variance times the variance.
  ExpectNear(MustSolve(problem).extra_gradients.at("log_variance"),
             {0.0625, 0.09375, 0.12109375, -0.375});
}

// torch.nn.functional.gaussian_nll_loss of PyTorch 1.13: the gradient passes
// through the floor.
TEST(GaussianNllTest, AgreesWithPytorchBelowTheFloor) {
  for (const Semantics semantics : {Semantics::kStrict, Semantics::kPytorch}) {
    const Problem problem = Under(
        semantics, Elements(GaussianNllParams{.full = true}, {2.5, 0, 2},
                            {3, -0.5, 2.25}, {{"variance", {0.5, 1e-9, 2}}}));
    ExpectAnswer(
        problem, 41665.37156177354,
        {-0.3333333333333333, 166666.66666666666, -0.041666666666666664});
    ExpectNear(MustSolve(problem).extra_gradients.at("variance"),
               {0.16666666666666666, -41666500000.0, 0.08072916666666666});
    const Problem right =
        Under(semantics,
              Elements(GaussianNllParams{}, {3}, {3}, {{"variance", {1e-9}}}));
    ExpectAnswer(right, -6.907755278982137, {0});
    ExpectNear(MustSolve(right).extra_gradients.at("variance"), {500000});
  }
}

TEST(GaussianNllTest, KeepsARightMeanHoweverSmallTheVariance) {
  const Problem problem =
      Elements(GaussianNllParams{}, {3}, {3}, {{"log_variance", {-2000}}});
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer = MustSolve(problem, {.dtype = dtype});
    EXPECT_EQ(answer.result.loss, -1000);
    EXPECT_EQ(answer.gradient[0], 0);
    EXPECT_EQ(answer.extra_gradients.at("log_variance")[0], 0.5);
  }
}

TEST(GaussianNllTest, RefusesWhatIsOutsideItsDomain) {
  const auto with = [](std::vector<Extra> extras) {
    return Elements(GaussianNllParams{}, {1, 2}, {1, 1}, std::move(extras));
  };
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    ExpectRefused(with({{"variance", {1, -0.5}}}),
                  "extra_inputs.variance.data[1]", "log_variance",
                  {.dtype = dtype});
    for (const double number : {kNan, kInfinity, -kInfinity}) {
      for (const char* name : {"variance", "log_variance"}) {
        ExpectRefused(with({{name, {1, number}}}),
                      "extra_inputs." + std::string(name) + ".data[1]",
                      "finite", {.dtype = dtype});
      }
    }
  }
  ExpectRefused(with({}), "extra_inputs", "none");
  ExpectRefused(with({{"variance", {1, 1}}, {"log_variance", {1, 1}}}),
                "extra_inputs", "exactly one");
  ExpectRefused(
      Elements(GaussianNllParams{.epsilon = 0}, {1}, {1}, {{"variance", {1}}}),
      "options.epsilon", "> 0");
}

TEST(GaussianNllTest, PropagatesUnderPytorch) {
  Problem problem =
      Under(Semantics::kPytorch,
            Elements(GaussianNllParams{.epsilon = 1}, {1, 1, 1}, {0, 0, 0},
                     {{"variance", {-5, kInfinity, kNan}}}));
  problem.spec.reduction = Reduction::kNone;
  const Answer answer = MustSolve(problem);
  // The floor, as max(-5, 1); log(inf); NaN.
  EXPECT_EQ(answer.row_losses[0], 0.5);
  EXPECT_EQ(answer.row_losses[1], kInfinity);
  EXPECT_TRUE(std::isnan(answer.row_losses[2]));
  EXPECT_EQ(answer.gradient[0], 1);
  EXPECT_EQ(answer.gradient[1], 0);
  EXPECT_TRUE(std::isnan(answer.gradient[2]));
  EXPECT_TRUE(std::isnan(answer.extra_gradients.at("variance")[2]));
}

Problem Divergence(std::vector<double> means, std::vector<double> log_variances,
                   std::vector<Extra> priors = {}) {
  Problem problem = Elements(GaussianKlParams{}, std::move(means), {},
                             {{"log_variance", std::move(log_variances)}});
  problem.shape.insert(problem.shape.begin(), 1);
  for (Extra& prior : priors) problem.extras.push_back(std::move(prior));
  return problem;
}

// torch.distributions.kl_divergence of PyTorch 1.13, summed.
TEST(GaussianKlTest, AgreesWithPytorch) {
  for (const Semantics semantics : kEverySemantics) {
    const Problem plain =
        Under(semantics, Divergence({1, 0, -0.5}, {0, -1, 0.5}));
    ExpectAnswer(plain, 0.8833003559357853, {1, 0, -0.5});
    ExpectNear(MustSolve(plain).extra_gradients.at("log_variance"),
               {0, -0.3160602794142788, 0.32436063535006393});
    const Problem prior =
        Under(semantics, Divergence({1, 0, -0.5}, {0, -1, 0.5},
                                    {{"prior_mean", {0.5, -1, 0}},
                                     {"prior_log_variance", {1, -0.5, 0.25}}}));
    ExpectAnswer(prior, 1.2219134221663286,
                 {0.18393972058572117, 1.648721270700128, -0.3894003915357024});
    ExpectNear(
        MustSolve(prior).extra_gradients.at("log_variance"),
        {-0.3160602794142788, -0.19673467014368332, 0.14201270834387075});
  }
}

// The mean of log q - log p over samples of q.
TEST(GaussianKlTest, IsTheMeanOfTheLogRatioOfDensities) {
  const std::vector<double> mean = {1, -0.3, 0.2};
  const std::vector<double> log_variance = {0.4, -1, 0.1};
  const std::vector<double> prior_mean = {0.5, 0.25, 0};
  const std::vector<double> prior_log_variance = {-0.2, 0.5, 1};
  const Answer answer =
      MustSolve(Divergence(mean, log_variance,
                           {{"prior_mean", prior_mean},
                            {"prior_log_variance", prior_log_variance}}));
  const auto log_density = [](double x, double center, double logarithm) {
    return -(logarithm + (x - center) * (x - center) * std::exp(-logarithm)) /
           2;
  };
  Random random(20);
  constexpr int kSamples = 1'000'000;
  double sum = 0;
  double squares = 0;
  for (int sample = 0; sample < kSamples; ++sample) {
    double ratio = 0;
    for (size_t k = 0; k < mean.size(); ++k) {
      // Box and Muller: exactly normal.
      const double radius = std::sqrt(-2 * std::log(1 - random.Uniform(0, 1)));
      const double angle = 2 * std::numbers::pi * random.Uniform(0, 1);
      const double x =
          mean[k] + std::exp(log_variance[k] / 2) * radius * std::cos(angle);
      ratio += log_density(x, mean[k], log_variance[k]) -
               log_density(x, prior_mean[k], prior_log_variance[k]);
    }
    sum += ratio;
    squares += ratio * ratio;
  }
  const double average = sum / kSamples;
  const double variance = squares / kSamples - average * average;
  const double standard_error = std::sqrt(variance / kSamples);
  // Five standard errors: a right value fails for one seed in two million. They
  // must be small enough to see a term that is off by one per cent.
  EXPECT_LT(5 * standard_error, 0.01 * answer.result.loss);
  EXPECT_NEAR(answer.result.loss, average, 5 * standard_error);
}

TEST(GaussianKlTest, IsExactlyZeroAtThePrior) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer = MustSolve(
        Divergence(
            {0.3, -7}, {0.7, -2},
            {{"prior_mean", {0.3, -7}}, {"prior_log_variance", {0.7, -2}}}),
        {.dtype = dtype});
    EXPECT_EQ(answer.result.loss, 0);
    EXPECT_EQ(answer.gradient, std::vector<double>({0, 0}));
    EXPECT_EQ(answer.extra_gradients.at("log_variance"),
              std::vector<double>({0, 0}));
  }
}

// (e^v - 1 - v) / 2 is v^2 / 4, which e^v - 1 - v would lose.
TEST(GaussianKlTest, KeepsItsDigitsNearThePrior) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Answer answer =
        MustSolve(Divergence({0}, {0x1p-40}), {.dtype = dtype});
    // The next term is 2^-40 / 3 times it.
    ExpectNear({answer.result.loss}, {0x1p-82},
               dtype == Dtype::kFloat32 ? 0x1p-23 : 1e-12);
    ExpectNear(answer.extra_gradients.at("log_variance"), {0x1p-41},
               dtype == Dtype::kFloat32 ? 0x1p-23 : 1e-12);
  }
}

TEST(GaussianKlTest, AddsUpRowsUnderAllSemantics) {
  for (const Semantics semantics : kEverySemantics) {
    Problem problem = Under(semantics, Divergence({2, 4, 6, 8}, {0, 0, 0, 0}));
    problem.shape = {2, 2};
    problem.mask = {1, 1};
    const Answer answer = MustSolve(problem);
    EXPECT_EQ(answer.row_losses, std::vector<double>({10, 50}));
    EXPECT_EQ(answer.result.loss, 30);
    EXPECT_EQ(answer.gradient, std::vector<double>({1, 2, 3, 4}));
  }
}

TEST(GaussianKlTest, RefusesWhatItCannotUse) {
  Problem without = Divergence({1}, {1});
  without.extras.clear();
  ExpectRefused(without, "extra_inputs.log_variance", "nothing");
  ExpectRefused(Divergence({1}, {1}, {{"variance", {1}}}),
                "extra_inputs.variance", "prior_log_variance");
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    ExpectRefused(Divergence({1, 1}, {1, kNan}),
                  "extra_inputs.log_variance.data[1]", "nan", {.dtype = dtype});
    ExpectRefused(Divergence({1, kInfinity}, {1, 1}), "predictions.data[1]",
                  "inf", {.dtype = dtype});
    ExpectRefused(Divergence({1, 1}, {1, -kInfinity}),
                  "extra_inputs.log_variance.data[1]", "-inf",
                  {.dtype = dtype});
    ExpectRefused(Divergence({1}, {1}, {{"prior_mean", {kNan}}}),
                  "extra_inputs.prior_mean.data[0]", "nan", {.dtype = dtype});
    ExpectRefused(Divergence({1}, {1}, {{"prior_log_variance", {kInfinity}}}),
                  "extra_inputs.prior_log_variance.data[0]", "inf",
                  {.dtype = dtype});
  }
  // e^800 is beyond float64.
  ExpectRefused(Divergence({1, 1}, {1, 800}), "predictions.data[1]", "");
  TestCall call(Divergence({1}, {1}), {});
  call.inputs.targets = call.inputs.predictions;
  EXPECT_THAT(call.Run(), Violates("targets"));
}

}  // namespace
}  // namespace lossd::test
