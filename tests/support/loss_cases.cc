#include "tests/support/loss_cases.h"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <utility>
#include <variant>

#include "tests/support/loss_case_groups.h"
#include "tests/support/row_samplers.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

Sampler WithPosWeight(const Sampler& sampler) {
  return [=](Random& random, Problem& problem) {
    sampler(random, problem);
    problem.pos_weight = ColumnWeights(problem, false);
  };
}

void AddRegression(std::vector<LossCase>& cases) {
  // Losses of a magnitude of 1e-30 to 1e30, far inside float32.
  const Draw wide = SignedLogUniform(1e-15, 1e15);
  cases.push_back({.name = "mse",
                   .params = MeanSquaredErrorParams{},
                   .sample = Elements(Normal(3), Normal(3)),
                   .loss_ulp = 2,
                   .length = Size});
  cases.push_back({.name = "mse_wide",
                   .params = MeanSquaredErrorParams{},
                   .sample = Elements(wide, wide),
                   .loss_ulp = 2,
                   .length = Size});
  cases.push_back({.name = "mae",
                   .params = MeanAbsoluteErrorParams{},
                   .sample = Elements(Normal(3), Normal(3)),
                   .loss_ulp = 1,
                   .kink_distance = Residual,
                   .length = Size});
  cases.push_back({.name = "mae_wide",
                   .params = MeanAbsoluteErrorParams{},
                   .sample = Elements(SignedLogUniform(1e-30, 1e30),
                                      SignedLogUniform(1e-30, 1e30)),
                   .loss_ulp = 1,
                   .kink_distance = Residual,
                   .length = Size});
  for (const double delta : {1.0, 0.3, 1000.0}) {
    const auto kink = [=](double p, double t) {
      return std::abs(Residual(p, t) - delta);
    };
    const std::string name = delta == 1     ? "huber"
                             : delta == 0.3 ? "huber_small_delta"
                                            : "huber_large_delta";
    cases.push_back({.name = name,
                     .params = HuberParams{.delta = delta},
                     .sample = Elements(Normal(delta), Normal(delta)),
                     .kink_distance = kink,
                     .length = Size});
  }
  // The slope of near-equal numbers is small, its derivatives are not.
  const auto from_pole = [](double p, double) { return 0.01 * (1 + p); };
  LossCase msle{.name = "msle",
                .params = MeanSquaredLogarithmicErrorParams{},
                .sample = Elements(Uniform(-0.9, 9), Uniform(-0.9, 9)),
                .loss_ulp = 8,
                .gradient_ulp = 6,
                .length = from_pole};
  cases.push_back(msle);
  msle.name = "msle_wide";
  const Draw decades = [](Random& random) {
    return random.LogUniform(1e-6, 1e12) - 0.999;
  };
  msle.sample = Elements(decades, decades);
  cases.push_back(msle);
  msle.name = "msle_nearly_equal";
  msle.sample =
      NearlyEqual([](Random& random) { return random.LogUniform(1e-3, 1e6); });
  cases.push_back(msle);
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The larger of the two terms of the slope of binary cross-entropy.
std::function<double(double, double)> LargerTerm(
    const BinaryCrossEntropyParams& params, double pos_weight) {
  return [=](double p, double t) {
    const double smoothing = params.label_smoothing;
    const double y = (1 - smoothing) * t + smoothing / 2;
    if (params.prediction_kind == PredictionKind::kLogits) {
      return std::max((1 - y) * Sigmoid(p), pos_weight * y * Sigmoid(-p));
    }
    return std::max((1 - y) / (1 - p), pos_weight * y / p);
  };
}

void AddBinary(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, BinaryCrossEntropyParams params,
                       Draw prediction, Draw target) {
    const auto to_end = [](double q, double) { return std::min(q, 1 - q); };
    const bool logits = params.prediction_kind == PredictionKind::kLogits;
    cases.push_back(
        {.name = std::move(name),
         .params = params,
         .sample = Elements(std::move(prediction), std::move(target)),
         .slope_scale = LargerTerm(params, params.pos_weight.value_or(1))});
    if (!logits) cases.back().length = to_end;
    // The analyzer loses sight of who owns what a std::function holds.
  };  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)
  constexpr auto kLogits = PredictionKind::kLogits;
  constexpr auto kProbabilities = PredictionKind::kProbabilities;
  const Draw soft = Uniform(0, 1);
  add("bce_logits", {.prediction_kind = kLogits}, Normal(4), ZeroOrOne);
  // Down to exp(-80), near the smallest normal float.
  add("bce_logits_wide", {.prediction_kind = kLogits}, Uniform(-80, 80),
      ZeroOrOne);
  add("bce_logits_soft", {.prediction_kind = kLogits}, Normal(4), soft);
  add("bce_logits_smooth", {.prediction_kind = kLogits, .label_smoothing = 0.1},
      Normal(4), ZeroOrOne);
  add("bce_logits_pos_weight", {.prediction_kind = kLogits, .pos_weight = 3},
      Normal(4), ZeroOrOne);
  add("bce_logits_pos_weights", {.prediction_kind = kLogits}, Normal(4),
      ZeroOrOne);
  cases.back().sample = WithPosWeight(cases.back().sample);
  add("bce_probabilities", {.prediction_kind = kProbabilities},
      Uniform(1e-3, 0.999), ZeroOrOne);
  // Small probabilities of either side: 1 - q of a float is at least 6e-8.
  add(
      "bce_probabilities_wide", {.prediction_kind = kProbabilities},
      [](Random& random) {
        const double q = random.LogUniform(1e-6, 0.5);
        return random.Chance(0.5) ? q : 1 - q;
      },
      ZeroOrOne);
  add("bce_probabilities_options",
      {.prediction_kind = kProbabilities,
       .label_smoothing = 0.2,
       .pos_weight = 0.5},
      Uniform(1e-3, 0.999), soft);

  LossCase hinge{.name = "hinge",
                 .params = HingeParams{},
                 .sample = Elements(
                     Normal(2), [](Random& random) { return random.Sign(); }),
                 .loss_ulp = 1};
  hinge.kink_distance = [](double p, double t) { return std::abs(1 - t * p); };
  cases.push_back(hinge);
  hinge.name = "hinge_zero_one";
  hinge.params = HingeParams{.label_encoding = LabelEncoding::kZeroOne};
  hinge.sample = Elements(Normal(2), ZeroOrOne);
  hinge.kink_distance = [](double p, double t) {
    return std::abs(1 - (2 * t - 1) * p);
  };
  cases.push_back(hinge);
}

void AddCategorical(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, CategoricalCrossEntropyParams params,
                       Sampler sample) {
    cases.push_back({.name = std::move(name),
                     .params = params,
                     .sample = std::move(sample)});
    if (params.prediction_kind == PredictionKind::kProbabilities) {
      cases.back().length = ToZero;
    }
  };
  constexpr auto kLogits = PredictionKind::kLogits;
  constexpr auto kProbabilities = PredictionKind::kProbabilities;
  constexpr auto kLogProbabilities = PredictionKind::kLogProbabilities;
  const FillRow logits = FillLogits(3);
  add("cce_logits", {.prediction_kind = kLogits}, RowsOf(logits, FillOneHot));
  add("cce_logits_confident", {.prediction_kind = kLogits},
      RowsOf(FillLogits(12), FillOneHot));
  add("cce_logits_soft", {.prediction_kind = kLogits},
      RowsOf(logits, FillSoft));
  add("cce_logits_multi_hot", {.prediction_kind = kLogits},
      RowsOf(logits, FillMultiHot));
  add("cce_logits_options",
      {.prediction_kind = kLogits, .label_smoothing = 0.1, .z_loss = 0.01},
      WithClassWeights(RowsOf(logits, FillSoft)));
  add("cce_probabilities", {.prediction_kind = kProbabilities},
      RowsOf(FillDistribution, FillOneHot));
  add("cce_probabilities_options",
      {.prediction_kind = kProbabilities, .label_smoothing = 0.2},
      WithClassWeights(RowsOf(FillDistribution, FillSoft)));
  add("cce_log_probabilities", {.prediction_kind = kLogProbabilities},
      RowsOf(FillLogarithms, FillOneHot));
  add("cce_log_probabilities_options",
      {.prediction_kind = kLogProbabilities, .label_smoothing = 0.3},
      WithClassWeights(RowsOf(FillLogarithms, FillMultiHot)));
}

void AddSparse(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name,
                       SparseCategoricalCrossEntropyParams params,
                       Sampler sample) {
    cases.push_back({.name = std::move(name),
                     .params = params,
                     .sample = std::move(sample)});
    if (params.prediction_kind == PredictionKind::kProbabilities) {
      cases.back().length = ToZero;
    }
  };
  constexpr auto kLogits = PredictionKind::kLogits;
  constexpr auto kProbabilities = PredictionKind::kProbabilities;
  constexpr auto kLogProbabilities = PredictionKind::kLogProbabilities;
  const FillRow logits = FillLogits(3);
  add("scce_logits", {.prediction_kind = kLogits}, LabelsOf(logits));
  add("scce_logits_confident", {.prediction_kind = kLogits},
      LabelsOf(FillLogits(12)));
  add("scce_logits_ignore",
      {.prediction_kind = kLogits, .ignore_index = kIgnored},
      LabelsOf(logits, 0.3));
  add("scce_logits_options",
      {.prediction_kind = kLogits,
       .ignore_index = kIgnored,
       .label_smoothing = 0.1,
       .z_loss = 0.01},
      WithClassWeights(LabelsOf(logits, 0.3)));
  add("scce_probabilities", {.prediction_kind = kProbabilities},
      LabelsOf(FillDistribution));
  add("scce_probabilities_options",
      {.prediction_kind = kProbabilities, .label_smoothing = 0.2},
      WithClassWeights(LabelsOf(FillDistribution)));
  add("scce_log_probabilities", {.prediction_kind = kLogProbabilities},
      LabelsOf(FillLogarithms));
}

void AddDivergence(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, KullbackLeiblerDivergenceParams params,
                       Sampler sample) {
    cases.push_back({.name = std::move(name),
                     .params = params,
                     .sample = std::move(sample)});
    if (params.prediction_kind == PredictionKind::kProbabilities) {
      cases.back().length = ToZero;
    }
  };
  constexpr auto kLogits = PredictionKind::kLogits;
  constexpr auto kProbabilities = PredictionKind::kProbabilities;
  constexpr auto kLogProbabilities = PredictionKind::kLogProbabilities;
  constexpr auto kLogTargets = TargetKind::kLogProbabilities;
  add("kld_logits", {.prediction_kind = kLogits},
      RowsOf(FillLogits(3), FillSoft));
  add("kld_probabilities", {.prediction_kind = kProbabilities},
      RowsOf(FillDistribution, FillSoft));
  add("kld_log_probabilities", {.prediction_kind = kLogProbabilities},
      RowsOf(FillLogarithms, FillSoft));
  add("kld_logits_log_targets",
      {.prediction_kind = kLogits, .target_kind = kLogTargets},
      RowsOf(FillLogits(3), FillLogarithms));
  add("kld_log_probabilities_log_targets",
      {.prediction_kind = kLogProbabilities, .target_kind = kLogTargets},
      RowsOf(FillLogarithms, FillLogarithms));
}

void RoundToFloat(std::vector<double>& numbers) {
  for (double& number : numbers) number = static_cast<float>(number);
}

}  // namespace

const std::vector<LossCase>& LossCases() {
  static const auto& cases = *[] {
    auto* all = new std::vector<LossCase>;
    AddRegression(*all);
    AddBinary(*all);
    AddCategorical(*all);
    AddSparse(*all);
    AddDivergence(*all);
    AddRegressionCases(*all);
    AddMarginCases(*all);
    AddFocalCases(*all);
    AddSimilarityCases(*all);
    AddOverlapCases(*all);
    AddClassCases(*all);
    AddTeacherCases(*all);
    AddPolicyCases(*all);
    AddSoftmaxOptionCases(*all);
    return all;
  }();
  return cases;
}

bool IsRowwise(const LossCase& loss_case) {
  return std::holds_alternative<RowwiseKernel>(
      ResolvedKernel(loss_case.params).engine);
}

Problem Sample(const LossCase& loss_case, std::vector<int64_t> shape,
               Dtype dtype, uint64_t seed) {
  Problem problem;
  problem.spec.params = loss_case.params;
  problem.reference = loss_case.reference;
  problem.shape = std::move(shape);
  const size_t elements = problem.rows() * problem.columns();
  problem.predictions.resize(elements);
  problem.targets.resize(elements);
  Random random(seed);
  loss_case.sample(random, problem);
  if (dtype == Dtype::kFloat32) {
    RoundToFloat(problem.predictions);
    RoundToFloat(problem.targets);
    for (Extra& extra : problem.extras) RoundToFloat(extra.numbers);
  }
  return problem;
}

Problem SampleRows(const LossCase& loss_case, int64_t rows, int64_t columns,
                   Dtype dtype) {
  const bool elements =
      ResolvedKernel(loss_case.params).traits.layout == RowLayout::kElements;
  return Sample(loss_case, {rows, elements ? 1 : columns}, dtype);
}

void AddWeights(Problem& problem, uint64_t seed, bool signs) {
  Random random(seed);
  problem.sample_weights.resize(problem.rows());
  for (double& weight : problem.sample_weights) {
    weight = random.Uniform(0.5, 2) * (signs ? random.Sign() : 1);
  }
}

void AddMask(Problem& problem, uint64_t seed) {
  Random random(seed);
  problem.mask.resize(problem.rows());
  for (uint8_t& byte : problem.mask) byte = random.Chance(0.25) ? 0 : 1;
}

std::vector<Problem> Variants(const Problem& plain) {
  Problem full = plain;
  AddWeights(full, 2);
  AddMask(full, 3);
  std::vector<Problem> variants;
  for (const Reduction reduction :
       {Reduction::kNone, Reduction::kSum, Reduction::kMean,
        Reduction::kWeightedMean, Reduction::kBatchMean}) {
    variants.push_back(plain);
    variants.back().spec.reduction = reduction;
    variants.push_back(full);
    variants.back().spec.reduction = reduction;
    variants.back().upstream_gradient = {-0.75};
    if (reduction != Reduction::kNone) continue;
    variants.push_back(full);
    variants.back().spec.reduction = reduction;
    variants.back().upstream_gradient.assign(full.rows(), 1.25);
  }
  variants.push_back(full);
  variants.back().spec.normalizer = 321;
  return variants;
}

std::string CaseName(const testing::TestParamInfo<LossCase>& info) {
  return info.param.name;
}

void PrintTo(const LossCase& loss_case, std::ostream* out) {
  *out << loss_case.name;
}

}  // namespace lossd::test
