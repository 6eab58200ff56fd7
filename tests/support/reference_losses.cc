#include "tests/support/reference_losses.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <variant>

namespace lossd::test {
namespace {

// factor * term, 0 when the factor is 0 whatever the term.
Number Times(Number factor, Number term) {
  return factor == 0 ? 0 : factor * term;
}

Number Softplus(Number x) {
  return std::max<Number>(x, 0) + std::log1p(std::exp(-std::abs(x)));
}

// One element of an element-wise loss.
struct ElementLoss {
  Number prediction;
  Number target;
  Number pos_weight;

  Number residual() const { return prediction - target; }

  ReferenceRow operator()(const MeanSquaredErrorParams&) const {
    return Positive(residual() * residual());
  }

  ReferenceRow operator()(const MeanSquaredLogarithmicErrorParams&) const {
    // The ratio where the logarithms would cancel, the logarithms where the
    // ratio would round to -1.
    const Number ratio = residual() / (1 + target);
    const Number d = std::abs(ratio) < 0.5L
                         ? std::log1p(ratio)
                         : std::log1p(prediction) - std::log1p(target);
    return Positive(d * d);
  }

  ReferenceRow operator()(const MeanAbsoluteErrorParams&) const {
    return Positive(std::abs(residual()));
  }

  ReferenceRow operator()(const HuberParams& params) const {
    const Number delta = params.delta;
    const Number size = std::abs(residual());
    return Positive(size <= delta ? size * size / 2
                                  : delta * size - delta * delta / 2);
  }

  ReferenceRow operator()(const BinaryCrossEntropyParams& params) const {
    const Number smoothing = params.label_smoothing;
    const Number y = (1 - smoothing) * target + smoothing / 2;
    const Number weight = params.pos_weight.value_or(1) * pos_weight;
    if (params.prediction_kind == PredictionKind::kLogits) {
      return Positive(weight * y * Softplus(-prediction) +
                      (1 - y) * Softplus(prediction));
    }
    return Positive(-Times(weight * y, std::log(prediction)) -
                    Times(1 - y, std::log1p(-prediction)));
  }

  ReferenceRow operator()(const HingeParams& params) const {
    const Number y = params.label_encoding == LabelEncoding::kPlusMinusOne
                         ? target
                         : 2 * target - 1;
    return {std::max<Number>(0, 1 - y * prediction),
            std::max<Number>(1, std::abs(prediction))};
  }

  // Row-wise losses never come here.
  template <class Params>
  ReferenceRow operator()(const Params&) const {
    return {std::numeric_limits<Number>::quiet_NaN(), 0};
  }

 private:
  static ReferenceRow Positive(Number loss) { return {loss, loss}; }
};

// Surprisal of each class, -log q, and the error that rounding leaves in it, in
// units of the last place.
struct Surprisals {
  std::vector<Number> values;
  std::vector<Number> scales;
  Number log_sum_exp = 0;
};

Surprisals OfLogits(std::span<const Number> logits) {
  const auto top = std::max_element(logits.begin(), logits.end());
  Number others = 0;
  Number rounding = 0;
  for (auto x = logits.begin(); x != logits.end(); ++x) {
    if (x == top) continue;
    const Number distance = *top - *x;
    const Number term = std::exp(-distance);
    others += term;
    // A relative error of the distance is one of the term times the distance.
    if (term > 0) rounding += term * (1 + distance);
  }
  const Number log_sum = std::log1p(others);
  Surprisals surprisals;
  surprisals.log_sum_exp = *top + log_sum;
  for (const Number x : logits) {
    surprisals.values.push_back(*top - x + log_sum);
    surprisals.scales.push_back(*top - x + log_sum + rounding / (1 + others));
  }
  return surprisals;
}

// softcap tanh(x / softcap), unless softcap is 0, over temperature.
std::vector<Number> Transformed(std::span<const Number> logits, Number softcap,
                                Number temperature) {
  std::vector<Number> all;
  for (const Number x : logits) {
    all.push_back((softcap == 0 ? x : softcap * std::tanh(x / softcap)) /
                  temperature);
  }
  return all;
}

// The same of logits that were transformed: double rounds them, which moves
// surprisals by as much as they are large.
Surprisals OfTransformed(std::span<const Number> logits) {
  Surprisals surprisals = OfLogits(logits);
  Number largest = 0;
  for (const Number x : logits) largest = std::max(largest, std::abs(x));
  for (Number& scale : surprisals.scales) scale += 2 * largest;
  return surprisals;
}

Surprisals OfProbabilities(std::span<const Number> probabilities,
                           bool renormalize) {
  const Number sum = renormalize
                         ? std::accumulate(probabilities.begin(),
                                           probabilities.end(), Number{0})
                         : 1;
  Surprisals surprisals;
  for (const Number q : probabilities) {
    const Number value = -std::log(q / sum);
    surprisals.values.push_back(value);
    // Rounding the quotient moves its logarithm by as much.
    surprisals.scales.push_back(std::abs(value) + (renormalize ? 1 : 0));
  }
  return surprisals;
}

Surprisals SurprisalsOf(std::span<const Number> predictions,
                        PredictionKind kind, bool renormalize) {
  switch (kind) {
    case PredictionKind::kLogits:
      return OfLogits(predictions);
    case PredictionKind::kProbabilities:
      return OfProbabilities(predictions, renormalize);
    case PredictionKind::kLogProbabilities: {
      Surprisals surprisals;
      for (const Number l : predictions) surprisals.values.push_back(-l);
      surprisals.scales = surprisals.values;
      return surprisals;
    }
    case PredictionKind::kUnspecified:
      break;
  }
  return {};
}

// Weights of some classes, and what the tail policy makes of the others.
std::vector<Number> IndexedTargets(const Problem& problem, size_t row) {
  std::vector<Number> targets(problem.columns());
  const size_t count = problem.target_indices.size() / problem.rows();
  Number total = 0;
  for (size_t k = row * count; k < (row + 1) * count; ++k) {
    if (problem.targets[k] == 0) continue;
    targets.at(static_cast<size_t>(problem.target_indices[k])) +=
        problem.targets[k];
    total += problem.targets[k];
  }
  const Number others =
      static_cast<Number>(std::ranges::count(targets, Number{0}));
  switch (std::get<CategoricalCrossEntropyParams>(problem.spec.params)
              .tail_policy) {
    case TailPolicy::kDrop:
      break;
    case TailPolicy::kRenormalize:
      if (total == 0) break;
      for (Number& target : targets) target /= total;
      break;
    case TailPolicy::kUniformTail:
      if (total >= 1) break;
      for (Number& target : targets) {
        if (target == 0) target = (1 - total) / others;
      }
      break;
  }
  return targets;
}

// The targets of a row, as given, of logarithms, or of a label.
std::vector<Number> TargetsOf(const Problem& problem, size_t row) {
  if (!problem.target_indices.empty()) return IndexedTargets(problem, row);
  const size_t columns = problem.columns();
  const auto* divergence =
      std::get_if<KullbackLeiblerDivergenceParams>(&problem.spec.params);
  std::vector<Number> targets(columns);
  for (size_t k = 0; k < columns; ++k) {
    if (!problem.labels.empty()) {
      targets[k] = problem.labels[row] == static_cast<int64_t>(k) ? 1 : 0;
      continue;
    }
    targets[k] = problem.targets[row * columns + k];
    if (divergence != nullptr &&
        divergence->target_kind == TargetKind::kLogProbabilities) {
      targets[k] = std::exp(targets[k]);
    }
  }
  return targets;
}

Number ClassWeight(const Problem& problem, size_t k) {
  return problem.class_weights.empty() ? 1 : problem.class_weights[k];
}

struct SmoothingOf {
  Number operator()(const auto& params) const {
    if constexpr (requires { params.label_smoothing; }) {
      return params.label_smoothing;
    } else {
      return 0;
    }
  }
};

ReferenceRow CrossEntropy(const Problem& problem, size_t row,
                          std::span<const Number> predictions,
                          const auto& params) {
  const bool transformed = params.logit_softcap != 0 || params.temperature != 1;
  const Surprisals surprisals =
      transformed ? OfTransformed(Transformed(predictions, params.logit_softcap,
                                              params.temperature))
                  : SurprisalsOf(predictions, params.prediction_kind, true);
  const std::vector<Number> targets = EffectiveTargets(problem, row);
  ReferenceRow result;
  for (size_t k = 0; k < targets.size(); ++k) {
    result.loss += Times(targets[k], surprisals.values[k]);
    result.scale += Times(targets[k], surprisals.scales[k]);
  }
  const Number log_sum_exp = surprisals.log_sum_exp;
  result.loss += params.z_loss * log_sum_exp * log_sum_exp;
  // The maximum and the logarithm may cancel.
  const Number largest =
      1 + std::abs(*std::max_element(predictions.begin(), predictions.end()));
  result.scale +=
      Times(params.z_loss, (std::abs(log_sum_exp) + largest) * largest);
  return result;
}

struct RowLoss {
  const Problem& problem;
  size_t row;
  std::span<const Number> predictions;

  ReferenceRow operator()(const CategoricalCrossEntropyParams& params) const {
    return CrossEntropy(problem, row, predictions, params);
  }

  ReferenceRow operator()(
      const SparseCategoricalCrossEntropyParams& params) const {
    return CrossEntropy(problem, row, predictions, params);
  }

  ReferenceRow operator()(const KullbackLeiblerDivergenceParams& params) const {
    const Number temperature = params.temperature;
    const Surprisals surprisals =
        temperature != 1
            ? OfTransformed(Transformed(predictions, 0, temperature))
            : SurprisalsOf(predictions, params.prediction_kind, false);
    ReferenceRow result;
    const std::vector<Number> targets = TargetsOf(problem, row);
    for (size_t k = 0; k < targets.size(); ++k) {
      const Number target = targets[k];
      const Number logarithm = std::log(target);
      result.loss += Times(target, logarithm + surprisals.values[k]);
      result.scale += Times(target, std::abs(logarithm) + surprisals.scales[k]);
    }
    if (params.temperature_squared) {
      result.loss *= temperature * temperature;
      result.scale *= temperature * temperature;
    }
    return result;
  }

  template <class Params>
  ReferenceRow operator()(const Params& params) const {
    const size_t columns = problem.columns();
    ReferenceRow mean;
    for (size_t k = 0; k < columns; ++k) {
      const ReferenceRow element = ElementLoss{
          predictions[k], problem.targets[row * columns + k],
          problem.pos_weight.empty() ? 1 : problem.pos_weight[k]}(params);
      mean.loss += element.loss / static_cast<Number>(columns);
      mean.scale += element.scale / static_cast<Number>(columns);
    }
    return mean;
  }
};

// Row `row` of a tensor with as many numbers for each row.
std::vector<Number> Part(const std::vector<double>& numbers, size_t rows,
                         size_t row) {
  std::vector<Number> part;
  const size_t size = rows == 0 ? 0 : numbers.size() / rows;
  for (size_t k = 0; k < size; ++k) part.push_back(numbers[row * size + k]);
  return part;
}

bool Ignored(const Problem& problem, size_t row) {
  const std::optional<int64_t> ignored = problem.traits().ignore_index;
  return ignored.has_value() && problem.labels[row] == *ignored;
}

// Class weight that belongs to a row as a whole, by its unsmoothed targets.
Number RowClassWeight(const Problem& problem, size_t row) {
  if (problem.class_weights.empty()) return 1;
  const std::vector<Number> targets = TargetsOf(problem, row);
  Number weight = 0;
  for (size_t k = 0; k < targets.size(); ++k) {
    weight += targets[k] * ClassWeight(problem, k);
  }
  return weight;
}

Number Normalizer(const Problem& problem, const Reference& reference) {
  switch (problem.spec.reduction.value_or(Reduction::kMean)) {
    case Reduction::kNone:
    case Reduction::kSum:
      return 1;
    case Reduction::kMean:
      if (reference.row_count == 0) return 0;
      return problem.spec.normalizer.value_or(
          static_cast<double>(reference.row_count));
    case Reduction::kWeightedMean:
      return reference.weight_sum;
    case Reduction::kBatchMean:
      if (reference.row_count == 0) return 0;
      return problem.shape.empty() ? 1 : static_cast<Number>(problem.shape[0]);
  }
  return 0;
}

Number Upstream(const Problem& problem, size_t row) {
  const std::vector<double>& upstream = problem.upstream_gradient;
  if (upstream.empty()) return 1;
  return upstream.size() == 1 ? upstream[0] : upstream[row];
}

}  // namespace

RowInputs RowOf(const Problem& problem, size_t row) {
  const size_t rows = problem.rows();
  RowInputs inputs;
  inputs.predictions = Part(problem.predictions, rows, row);
  inputs.held_predictions = inputs.predictions;
  inputs.targets = Part(problem.targets, rows, row);
  if (!problem.labels.empty()) inputs.label = problem.labels[row];
  for (const Extra& extra : problem.extras) {
    inputs.extras[extra.name] = Part(extra.numbers, rows, row);
  }
  for (const std::vector<double>* column :
       {&problem.class_weights, &problem.pos_weight, &problem.column}) {
    if (!column->empty()) inputs.column.assign(column->begin(), column->end());
  }
  return inputs;
}

ReferenceRow ReferenceRowLoss(const Problem& problem, size_t row,
                              const RowInputs& inputs) {
  if (problem.reference) return problem.reference(inputs);
  return std::visit(RowLoss{problem, row, inputs.predictions},
                    problem.spec.params);
}

std::vector<Number> EffectiveTargets(const Problem& problem, size_t row) {
  std::vector<Number> targets = TargetsOf(problem, row);
  const Number smoothing = std::visit(SmoothingOf(), problem.spec.params);
  const auto classes = static_cast<Number>(targets.size());
  for (size_t k = 0; k < targets.size(); ++k) {
    targets[k] = ClassWeight(problem, k) *
                 ((1 - smoothing) * targets[k] + smoothing / classes);
  }
  return targets;
}

bool IsOneHot(const Problem& problem, size_t row) {
  const std::vector<Number> targets = TargetsOf(problem, row);
  return std::visit(SmoothingOf(), problem.spec.params) == 0 &&
         std::ranges::count(targets, 1) == 1 &&
         std::ranges::count(targets, 0) + 1 == std::ssize(targets);
}

Reference ComputeReference(const Problem& problem) {
  Reference reference;
  const size_t rows = problem.rows();
  reference.rows.resize(rows);
  reference.gradient_factors.resize(rows);
  for (size_t row = 0; row < rows; ++row) {
    if (!problem.mask.empty() && problem.mask[row] == 0) {
      ++reference.masked_count;
      continue;
    }
    if (Ignored(problem, row)) {
      ++reference.ignored_count;
      continue;
    }
    ++reference.row_count;
    const Number weight =
        problem.sample_weights.empty() ? 1 : problem.sample_weights[row];
    const ReferenceRow loss =
        ReferenceRowLoss(problem, row, RowOf(problem, row));
    reference.rows[row] = {weight * loss.loss, std::abs(weight) * loss.scale};
    reference.gradient_factors[row] = weight * Upstream(problem, row);
    reference.loss_sum += reference.rows[row].loss;
    reference.weight_sum += weight * RowClassWeight(problem, row);
  }
  reference.normalizer = Normalizer(problem, reference);
  if (reference.normalizer == 0) {
    std::ranges::fill(reference.gradient_factors, 0);
    return reference;
  }
  for (Number& factor : reference.gradient_factors) {
    factor /= reference.normalizer;
  }
  reference.loss = problem.spec.reduction == Reduction::kNone
                       ? std::numeric_limits<Number>::quiet_NaN()
                       : reference.loss_sum / reference.normalizer;
  return reference;
}

std::vector<Number> CentralDifferences(const Problem& problem,
                                       std::span<const double> steps,
                                       const std::string& extra) {
  std::vector<Number> differences;
  const size_t columns = problem.columns();
  for (size_t row = 0; row < problem.rows(); ++row) {
    RowInputs inputs = RowOf(problem, row);
    std::vector<Number>& point =
        extra.empty() ? inputs.predictions : inputs.extras.at(extra);
    for (size_t k = 0; k < columns; ++k) {
      const Number center = point[k];
      const Number step = steps[row * columns + k];
      const auto at = [&](Number position) {
        point[k] = center + position * step;
        return ReferenceRowLoss(problem, row, inputs).loss;
      };
      differences.push_back((8 * (at(1) - at(-1)) - (at(2) - at(-2))) /
                            (12 * step));
      point[k] = center;
    }
  }
  return differences;
}

}  // namespace lossd::test
