// The focal loss. The reference is the definition, in long double.

#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/support/loss_case_groups.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

Number SoftplusOf(Number x) {
  return std::max<Number>(x, 0) + std::log1p(std::exp(-std::abs(x)));
}

// What the focal loss of an element is made of.
struct FocalTerms {
  FocalTerms(const FocalParams& params, Number prediction, Number target) {
    const bool logits = params.prediction_kind == PredictionKind::kLogits;
    const Number smoothing = params.label_smoothing;
    y = (1 - smoothing) * target + smoothing / 2;
    q = logits ? 1 / (1 + std::exp(-prediction)) : prediction;
    rest = logits ? 1 / (1 + std::exp(prediction)) : 1 - prediction;
    const Number of_yes = logits ? SoftplusOf(-prediction) : -std::log(q);
    const Number of_no = logits ? SoftplusOf(prediction) : -std::log1p(-q);
    entropy = (y == 0 ? 0 : y * of_yes) + (y == 1 ? 0 : (1 - y) * of_no);
    wrong = y * rest + (1 - y) * q;
    const Number balance =
        params.alpha ? *params.alpha * y + (1 - *params.alpha) * (1 - y) : 1;
    weight = balance * (params.gamma == 0 ? 1 : std::pow(wrong, params.gamma));
  }

  Number y, q, rest, entropy, wrong, weight;
};

}  // namespace

void AddFocalCases(std::vector<LossCase>& cases) {
  const auto add = [&](const std::string& name, FocalParams params,
                       Draw prediction, Draw target) {
    const bool logits = params.prediction_kind == PredictionKind::kLogits;
    LossCase row{.name = name,
                 .params = params,
                 .sample = Elements(std::move(prediction), std::move(target)),
                 .loss_ulp = 4 * (1 + params.gamma),
                 .gradient_ulp = 4 * (2 + params.gamma)};
    if (!logits) {
      row.length = [](double q, double) { return std::min(q, 1 - q); };
    }
    row.reference = [=](const RowInputs& inputs) {
      const auto count = static_cast<Number>(inputs.predictions.size());
      // The logarithm of a power that is no product is rounded.
      const bool product = params.gamma == std::floor(params.gamma);
      ReferenceRow mean;
      for (size_t k = 0; k < inputs.predictions.size(); ++k) {
        const FocalTerms terms(params, inputs.predictions[k],
                               inputs.targets[k]);
        const Number loss = terms.weight * terms.entropy;
        mean.loss += loss / count;
        mean.scale += loss / count *
                      (product ? 1 : 1 - params.gamma * std::log(terms.wrong));
      }
      return mean;
    };
    // The two terms of cross-entropy's slope and what gamma adds.
    row.slope_scale_at = [=](const Problem& problem, const std::string&,
                             size_t i) {
      const FocalTerms terms(params, problem.predictions[i],
                             problem.targets[i]);
      const Number chain = terms.q * terms.rest;
      const Number scale =
          terms.weight *
          (std::max((1 - terms.y) * terms.q, terms.y * terms.rest) +
           params.gamma * std::abs(2 * terms.y - 1) * chain * terms.entropy /
               terms.wrong);
      return static_cast<double>((logits ? scale : scale / chain) /
                                 static_cast<Number>(problem.columns()));
    };
    cases.push_back(row);
  };
  constexpr auto kLogits = PredictionKind::kLogits;
  constexpr auto kProbabilities = PredictionKind::kProbabilities;
  const Draw soft = Uniform(0, 1);
  add("focal", {.prediction_kind = kLogits}, Normal(3), ZeroOrOne);
  add("focal_wide", {.prediction_kind = kLogits}, Uniform(-25, 25), ZeroOrOne);
  add("focal_soft", {.prediction_kind = kLogits, .alpha = 0.25}, Normal(3),
      soft);
  add("focal_gamma_0", {.prediction_kind = kLogits, .gamma = 0, .alpha = 0.75},
      Normal(3), ZeroOrOne);
  add("focal_gamma_4", {.prediction_kind = kLogits, .gamma = 4}, Normal(3),
      ZeroOrOne);
  add("focal_gamma_half", {.prediction_kind = kLogits, .gamma = 0.5},
      Uniform(-40, 40), ZeroOrOne);
  add("focal_smooth",
      {.prediction_kind = kLogits,
       .gamma = 3,
       .alpha = 0.1,
       .label_smoothing = 0.1},
      Normal(3), ZeroOrOne);
  add("focal_options",
      {.prediction_kind = kLogits,
       .gamma = 1.5,
       .alpha = 0.6,
       .label_smoothing = 0.3},
      Normal(4), soft);
  add("focal_probabilities", {.prediction_kind = kProbabilities},
      Uniform(1e-3, 0.999), ZeroOrOne);
  add("focal_probabilities_soft",
      {.prediction_kind = kProbabilities, .gamma = 1, .alpha = 0.25},
      Uniform(1e-3, 0.999), soft);
  add("focal_probabilities_options",
      {.prediction_kind = kProbabilities,
       .gamma = 0.7,
       .alpha = 0.25,
       .label_smoothing = 0.2},
      Uniform(1e-3, 0.999), soft);
}

}  // namespace lossd::test
