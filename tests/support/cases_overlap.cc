#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/support/loss_case_groups.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

Number Share(PredictionKind kind, Number prediction) {
  return kind == PredictionKind::kLogits ? 1 / (1 + std::exp(-prediction))
                                         : prediction;
}

// What one overlap is made of.
struct Counts {
  Number hits = 0;
  Number false_positives = 0;
  Number false_negatives = 0;

  void Add(PredictionKind kind, Number prediction, Number t) {
    const Number q = Share(kind, prediction);
    hits += q * t;
    false_positives += q * (1 - t);
    false_negatives +=
        (kind == PredictionKind::kLogits ? Share(kind, -prediction) : 1 - q) *
        t;
  }
  // Tversky's denominator.
  Number All(const TverskyParams& params) const {
    return hits + params.alpha * false_positives +
           params.beta * false_negatives + *params.smooth;
  }
};

// The factor of predictions in their slope.
Number Steepness(PredictionKind kind, Number prediction) {
  if (kind != PredictionKind::kLogits) return 1;
  return Share(kind, prediction) * Share(kind, -prediction);
}

// dice has half the smooth of the same tversky.
ReferenceRow Overlap(const TverskyParams& params, bool dice,
                     const RowInputs& row) {
  Counts counts;
  for (size_t k = 0; k < row.predictions.size(); ++k) {
    counts.Add(params.prediction_kind, row.predictions[k], row.targets[k]);
  }
  const Number smooth = *params.smooth;
  // 1 - A / B as (B - A) / B, since long double would round the difference.
  const Number loss = dice ? (counts.false_positives + counts.false_negatives) /
                                 (2 * counts.hits + counts.false_positives +
                                  counts.false_negatives + smooth)
                           : (params.alpha * counts.false_positives +
                              params.beta * counts.false_negatives) /
                                 counts.All(params);
  return {loss, loss};
}

// What the two terms of the slopes of soft targets are no larger than.
double LargestTerm(const TverskyParams& params, const Problem& problem,
                   size_t row) {
  const size_t columns = problem.columns();
  Counts counts;
  Number steepest = 0;
  for (size_t i = row * columns; i < (row + 1) * columns; ++i) {
    const Number prediction = problem.predictions[i];
    counts.Add(params.prediction_kind, prediction, problem.targets[i]);
    steepest =
        std::max(steepest, Steepness(params.prediction_kind, prediction));
  }
  const Number all = counts.All(params);
  const Number right = counts.hits + *params.smooth;
  const Number positive = params.alpha * right;
  const Number negative = params.beta * right + all - right;
  return static_cast<double>(std::max(positive, negative) / (all * all) *
                             steepest);
}

// Logits that mostly have the side of their target.
Sampler NearlyRight() {
  return [](Random& random, Problem& problem) {
    for (size_t i = 0; i < problem.predictions.size(); ++i) {
      const double sign = random.Sign();
      problem.targets[i] = sign > 0 ? 1 : 0;
      problem.predictions[i] = sign * random.Uniform(3, 14);
    }
  };
}

}  // namespace

void AddOverlapCases(std::vector<LossCase>& cases) {
  const auto finish = [&](std::string name, LossParams params,
                          TverskyParams shared, bool dice, double length,
                          Sampler sample) {
    LossCase added{.name = std::move(name),
                   .params = std::move(params),
                   .sample = std::move(sample)};
    added.length = [=](double, double) { return length; };
    added.slope_scale_of_row = [=](const Problem& problem, const std::string&,
                                   size_t row) {
      TverskyParams same = shared;
      if (dice) same.smooth = *shared.smooth / 2;
      return LargestTerm(same, problem, row);
    };
    added.reference = [=](const RowInputs& row) {
      return Overlap(shared, dice, row);
    };
    cases.push_back(std::move(added));
  };
  const auto add_dice = [&](std::string name, DiceParams params, double length,
                            Sampler sample) {
    finish(std::move(name), params,
           {.prediction_kind = params.prediction_kind,
            .smooth = params.smooth.value_or(1)},
           true, length, std::move(sample));
  };
  const auto add_tversky = [&](std::string name, TverskyParams params,
                               double length, Sampler sample) {
    TverskyParams resolved = params;
    resolved.smooth = params.smooth.value_or(1);
    finish(std::move(name), params, resolved, false, length, std::move(sample));
  };
  constexpr auto kLogits = PredictionKind::kLogits;
  constexpr auto kProbabilities = PredictionKind::kProbabilities;
  const Draw share = Uniform(0, 1);
  // Derivatives change on the scale of the denominator, which is smooth or
  // more; half of it for dice.
  add_dice("dice_logits", {.prediction_kind = kLogits}, 0.5,
           Elements(Normal(4), ZeroOrOne));
  add_dice("dice_logits_nearly_right", {.prediction_kind = kLogits}, 0.5,
           NearlyRight());
  add_dice("dice_logits_soft_batch",
           {.prediction_kind = kLogits, .smooth = 0.5, .scope = Scope::kBatch},
           0.25, Elements(Normal(2), share));
  add_dice("dice_probabilities", {.prediction_kind = kProbabilities}, 0.5,
           Elements(share, ZeroOrOne));
  add_dice("dice_probabilities_soft", {.prediction_kind = kProbabilities}, 0.5,
           Elements(share, share));
  // Neither mask is nearly empty.
  add_dice("dice_no_smooth", {.prediction_kind = kProbabilities, .smooth = 0},
           0.05, Elements(Uniform(0.2, 1), ZeroOrOne));
  add_tversky("tversky_logits",
              {.prediction_kind = kLogits, .alpha = 0.3, .beta = 0.7}, 0.5,
              Elements(Normal(4), ZeroOrOne));
  add_tversky("tversky_logits_batch",
              {.prediction_kind = kLogits,
               .smooth = 2,
               .alpha = 0.7,
               .beta = 0.3,
               .scope = Scope::kBatch},
              0.5, Elements(Normal(4), ZeroOrOne));
  add_tversky("tversky_probabilities",
              {.prediction_kind = kProbabilities, .alpha = 2, .beta = 0.25},
              0.25, Elements(share, ZeroOrOne));
  add_tversky("tversky_probabilities_soft",
              {.prediction_kind = kProbabilities, .alpha = 0, .beta = 1.5},
              0.25, Elements(share, share));
}

}  // namespace lossd::test
