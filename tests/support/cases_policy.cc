// Losses of tokens and preferences, from log-probabilities and from logits.

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "tests/support/loss_case_groups.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

constexpr auto kLogits = PredictionKind::kLogits;

// The log-probability of the token that was taken, and the error that rounding
// leaves in it, in units of the last place of 1.
struct Token {
  Number log_probability = 0;
  Number scale = 0;
};

Token TokenOf(std::span<const Number> predictions, int64_t label) {
  if (label < 0) return {predictions[0], 0};
  const auto top = std::ranges::max_element(predictions);
  Number others = 0;
  Number rounding = 0;
  for (auto x = predictions.begin(); x != predictions.end(); ++x) {
    if (x == top) continue;
    const Number term = std::exp(*x - *top);
    others += term;
    rounding += term * (1 + *top - *x);
  }
  const Number distance = *top - predictions[static_cast<size_t>(label)];
  const Number surprisal = distance + std::log1p(others);
  return {-surprisal, surprisal + rounding / (1 + others)};
}

Token TokenOf(const RowInputs& inputs) {
  return TokenOf(inputs.predictions, inputs.label);
}

Token TokenAt(const Problem& problem, size_t element) {
  const size_t columns = problem.columns();
  const size_t row = element / columns;
  std::vector<Number> predictions;
  for (size_t k = 0; k < columns; ++k) {
    predictions.push_back(problem.predictions[row * columns + k]);
  }
  return TokenOf(predictions,
                 problem.labels.empty() ? -1 : problem.labels[row]);
}

Number ExtraOf(const RowInputs& inputs, const std::string& name) {
  return inputs.extras.at(name)[0];
}

// Of the row that the element is in.
double ExtraAt(const Problem& problem, const std::string& name,
               size_t element) {
  const auto extra = std::ranges::find(problem.extras, name, &Extra::name);
  return extra->numbers[element / problem.columns()];
}

// An extra input made of each row's log-probability.
using FromToken = std::function<double(Random&, double log_probability)>;

struct ExtraDraw {
  std::string name;
  FromToken draw;
};

// Predictions, labels with logits, and extra inputs.
Sampler Tokens(bool logits, const Draw& prediction,
               std::vector<ExtraDraw> extras) {
  return [=](Random& random, Problem& problem) {
    for (double& p : problem.predictions) p = prediction(random);
    problem.targets.clear();
    const size_t rows = problem.rows();
    const size_t columns = problem.columns();
    for (size_t row = 0; logits && row < rows; ++row) {
      problem.labels.push_back(random.Below(static_cast<int64_t>(columns)));
    }
    for (const ExtraDraw& extra : extras) {
      problem.extras.push_back({extra.name, {}});
      for (size_t row = 0; row < rows; ++row) {
        const Token token = TokenAt(problem, row * columns);
        problem.extras.back().numbers.push_back(
            extra.draw(random, static_cast<double>(token.log_probability)));
      }
    }
  };
}

// Of a token: from nearly certain to nearly impossible.
double LogProbability(Random& random) { return -random.LogUniform(1e-3, 20); }

FromToken Near(double deviation) {
  return [=](Random& random, double log_probability) {
    return log_probability + deviation * random.Normal();
  };
}

FromToken NearlySame() {
  return [](Random& random, double log_probability) {
    return log_probability *
           (1 + random.Sign() * random.LogUniform(1e-6, 1e-3));
  };
}

FromToken Anywhere() {
  return [](Random& random, double) { return -random.LogUniform(1e-3, 60); };
}

FromToken Signed() {
  return [](Random& random, double) { return random.Normal(); };
}

constexpr char kOld[] = "old_log_probabilities";
constexpr char kAdvantages[] = "advantages";
constexpr char kReference[] = "reference_log_probabilities";

Sampler RatioSampler(bool logits, const FromToken& old) {
  return Tokens(logits, logits ? Normal(3) : Draw(LogProbability),
                {{kOld, old}, {kAdvantages, Signed()}});
}

Number LogRatio(const RowInputs& inputs, const Token& token) {
  return token.log_probability - ExtraOf(inputs, kOld);
}

// A loss that is a product with the ratio.
ReferenceRow Product(Number loss, const Token& token) {
  return {loss, std::abs(loss) * (1 + token.scale)};
}

ReferenceRow ImportanceSamplingOf(const RowInputs& inputs) {
  const Token token = TokenOf(inputs);
  return Product(
      -std::exp(LogRatio(inputs, token)) * ExtraOf(inputs, kAdvantages), token);
}

std::function<ReferenceRow(const RowInputs&)> PpoOf(const PpoParams& params) {
  return [=](const RowInputs& inputs) {
    const Token token = TokenOf(inputs);
    const Number ratio = std::exp(LogRatio(inputs, token));
    const Number advantage = ExtraOf(inputs, kAdvantages);
    const Number bounded = std::clamp<Number>(
        ratio, static_cast<Number>(params.clip_low), params.clip_high);
    return Product(-std::min(ratio * advantage, bounded * advantage), token);
  };
}

// Distance of the token's log-probability, which no logit moves faster than by
// its own step, to where clipping begins.
std::function<double(const Problem&, size_t)> PpoKink(const PpoParams& params) {
  return [=](const Problem& problem, size_t i) {
    const auto log_ratio = static_cast<double>(
        TokenAt(problem, i).log_probability - ExtraAt(problem, kOld, i));
    const double bound = ExtraAt(problem, kAdvantages, i) > 0 ? params.clip_high
                                                              : params.clip_low;
    return std::abs(log_ratio - std::log(bound));
  };
}

// The weight is that of the place where the derivative is taken.
std::function<ReferenceRow(const RowInputs&)> CispoOf(
    const CispoParams& params) {
  return [=](const RowInputs& inputs) {
    const Token held = TokenOf(inputs.held_predictions, inputs.label);
    const Number weight = std::clamp<Number>(
        std::exp(LogRatio(inputs, held)), static_cast<Number>(params.clip_low),
        params.clip_high);
    const Token token = TokenOf(inputs);
    const Number slope = -weight * ExtraOf(inputs, kAdvantages);
    const Number loss = slope * token.log_probability;
    return ReferenceRow{loss, std::abs(loss) * (1 + token.scale) +
                                  std::abs(slope) * token.scale};
  };
}

std::function<ReferenceRow(const RowInputs&)> DroOf(const DroParams& params) {
  return [=](const RowInputs& inputs) {
    const Token token = TokenOf(inputs);
    const Number distance = LogRatio(inputs, token);
    const Number advantage = ExtraOf(inputs, kAdvantages);
    const Number beta = *params.beta;
    const Number gain = advantage * token.log_probability;
    const Number penalty = beta * distance * distance / 2;
    return ReferenceRow{
        penalty - gain,
        penalty + std::abs(gain) +
            token.scale * (beta * std::abs(distance) + std::abs(advantage))};
  };
}

// The larger of the two terms of its slope.
std::function<double(const Problem&, const std::string&, size_t)> DroScale(
    const DroParams& params) {
  return [=](const Problem& problem, const std::string&, size_t i) {
    const auto distance = static_cast<double>(
        TokenAt(problem, i).log_probability - ExtraAt(problem, kOld, i));
    return std::max(*params.beta * std::abs(distance),
                    std::abs(ExtraAt(problem, kAdvantages, i)));
  };
}

Number Expm1MinusX(Number x) {
  if (std::abs(x) >= 0.5L) return std::expm1(x) - x;
  Number sum = 0;
  Number term = x;
  for (int n = 2; n < 30; ++n) sum += term *= x / n;
  return sum;
}

ReferenceRow K3Of(const RowInputs& inputs) {
  const Token token = TokenOf(inputs);
  const Number d = ExtraOf(inputs, kReference) - token.log_probability;
  const Number loss = Expm1MinusX(d);
  return {loss, loss + token.scale * std::abs(std::expm1(d))};
}

// Where the loss is a parabola around 0, that of a step of d.
double K3Length(const Problem& problem, size_t i) {
  const auto d = static_cast<double>(ExtraAt(problem, kReference, i) -
                                     TokenAt(problem, i).log_probability);
  return std::clamp(std::abs(d), 1e-9, 1.0);
}

void AddTokenCrossEntropy(std::vector<LossCase>& cases) {
  const auto loss = [](const RowInputs& inputs) {
    const Token token = TokenOf(inputs);
    const Number weight = ExtraOf(inputs, "weights");
    return ReferenceRow{
        -weight * token.log_probability,
        std::abs(weight) * (std::abs(token.log_probability) + token.scale)};
  };
  const FromToken weight = [](Random& random, double) {
    return random.Chance(0.1) ? 0 : random.Normal();
  };
  cases.push_back(
      {.name = "token_cross_entropy",
       .params = TokenCrossEntropyParams{},
       .sample = Tokens(false, LogProbability, {{"weights", weight}}),
       .loss_ulp = 1,
       .reference = loss});
  for (const double deviation : {3.0, 12.0}) {
    cases.push_back(
        {.name = deviation == 3 ? "token_cross_entropy_logits"
                                : "token_cross_entropy_logits_confident",
         .params = TokenCrossEntropyParams{.prediction_kind = kLogits},
         .sample = Tokens(true, Normal(deviation), {{"weights", weight}}),
         .reference = loss});
  }
}

void AddRatios(std::vector<LossCase>& cases) {
  for (const bool logits : {false, true}) {
    const std::string suffix = logits ? "_logits" : "";
    const PredictionKind kind =
        logits ? kLogits : PredictionKind::kLogProbabilities;
    const auto add = [&](const std::string& name, const LossParams& params,
                         const FromToken& old, const auto& reference) {
      cases.push_back({.name = name + suffix,
                       .params = params,
                       .sample = RatioSampler(logits, old),
                       .reference = reference});
      return &cases.back();
    };
    const ImportanceSamplingParams sampling{.prediction_kind = kind};
    add("importance_sampling", sampling, Near(0.3), ImportanceSamplingOf);
    add("importance_sampling_nearly_same", sampling, NearlySame(),
        ImportanceSamplingOf);
    if (!logits) {
      add("importance_sampling_wide", sampling, Anywhere(),
          ImportanceSamplingOf);
    }
    for (const PpoParams& ppo :
         {PpoParams{.prediction_kind = kind},
          PpoParams{
              .prediction_kind = kind, .clip_low = 0.1, .clip_high = 3}}) {
      const bool usual = ppo.clip_high < 2;
      add(usual ? "ppo" : "ppo_wide_bounds", ppo, usual ? Near(0.3) : Near(2),
          PpoOf(ppo))
          ->kink_distance_at = PpoKink(ppo);
    }
    for (const CispoParams& cispo :
         {CispoParams{.prediction_kind = kind},
          CispoParams{
              .prediction_kind = kind, .clip_low = 0.5, .clip_high = 1.5}}) {
      const bool usual = cispo.clip_high > 2;
      add(usual ? "cispo" : "cispo_narrow_bounds", cispo,
          usual ? Near(2) : Near(0.5), CispoOf(cispo));
    }
    for (const double beta : {0.05, 20.0}) {
      const DroParams dro{.prediction_kind = kind, .beta = beta};
      add(beta < 1 ? "dro" : "dro_large_beta", dro,
          beta < 1 ? Near(0.5) : NearlySame(), DroOf(dro))
          ->slope_scale_at = DroScale(dro);
    }
  }
}

void AddK3(std::vector<LossCase>& cases) {
  for (const bool logits : {false, true}) {
    const std::string suffix = logits ? "_logits" : "";
    const K3DivergenceParams params{
        .prediction_kind =
            logits ? kLogits : PredictionKind::kLogProbabilities};
    for (const auto& [name, reference] :
         {std::pair<std::string, FromToken>{"k3_divergence", Near(0.3)},
          {"k3_divergence_nearly_same", NearlySame()},
          {"k3_divergence_wide", Anywhere()}}) {
      cases.push_back(
          {.name = name + suffix,
           .params = params,
           .sample = Tokens(logits, logits ? Normal(3) : Draw(LogProbability),
                            {{kReference, reference}}),
           .length_at = K3Length,
           .reference = K3Of});
    }
  }
}

Number Softplus(Number x) {
  return std::max<Number>(x, 0) + std::log1p(std::exp(-std::abs(x)));
}

ReferenceRow DpoOf(const DpoParams& params, const RowInputs& inputs) {
  const Number chosen = inputs.predictions[0] -
                        ExtraOf(inputs, "reference_chosen_log_probabilities");
  const Number rejected =
      ExtraOf(inputs, "rejected_log_probabilities") -
      ExtraOf(inputs, "reference_rejected_log_probabilities");
  const Number beta = params.beta;
  const Number e = params.label_smoothing;
  const Number h = beta * (chosen - rejected);
  const Number good = (1 - e) * Softplus(-h);
  const Number bad = e * Softplus(h);
  const Number scale = params.robust ? 1 - 2 * e : 1;
  // What rounding the differences moves the margin by, times the larger slope.
  const Number moved =
      beta * (std::abs(chosen) + std::abs(rejected)) / (1 + std::exp(h)) +
      e * beta * (std::abs(chosen) + std::abs(rejected));
  return {(params.robust ? good - bad : good + bad) / scale,
          (good + bad + moved) / scale};
}

void AddDpo(std::vector<LossCase>& cases) {
  const auto add = [&](const std::string& name, const DpoParams& params,
                       const Draw& chosen, double spread) {
    cases.push_back({.name = name, .params = params});
    LossCase& added = cases.back();
    added.sample =
        Tokens(false, chosen,
               {{"reference_chosen_log_probabilities", Near(spread)},
                {"rejected_log_probabilities", Near(2 * spread)},
                {"reference_rejected_log_probabilities", Near(2 * spread)}});
    added.length_at = [=](const Problem&, size_t) { return 1 / params.beta; };
    added.extra_length_at = [=](const Problem&, const std::string&, size_t) {
      return 1 / params.beta;
    };
    added.reference = [=](const RowInputs& inputs) {
      return DpoOf(params, inputs);
    };
    if (params.label_smoothing == 0) return;
    // Of two terms that nearly cancel.
    added.slope_scale_at = [=](const Problem&, const std::string&, size_t) {
      return params.beta;
    };
  };
  const Draw answer = [](Random& random) { return -random.Uniform(20, 400); };
  add("dpo", {}, answer, 3);
  add("dpo_wide", {.beta = 0.5}, answer, 8);
  add("dpo_smoothed", {.label_smoothing = 0.1}, answer, 10);
  add("dpo_robust", {.beta = 0.3, .label_smoothing = 0.2, .robust = true},
      answer, 5);
}

}  // namespace

void AddPolicyCases(std::vector<LossCase>& cases) {
  AddTokenCrossEntropy(cases);
  AddRatios(cases);
  AddK3(cases);
  AddDpo(cases);
}

}  // namespace lossd::test
