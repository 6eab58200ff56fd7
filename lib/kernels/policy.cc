#include "lib/kernels/policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/core/violation.h"
#include "lib/kernels/labels.h"
#include "lib/kernels/logarithms.h"

namespace lossd {
namespace {

// Differences from which on float32 cannot hold the ratio.
constexpr double kLargeDifference = 88;

// For people: not the bits of a kernel.
double LogProbability(std::span<const double> logits, size_t token) {
  const double max = *std::ranges::max_element(logits);
  double sum = 0;
  for (const double x : logits) sum += std::exp(x - max);
  return logits[token] - max - std::log(sum);
}

}  // namespace

LossTraits TokenTraits(PredictionKind kind,
                       std::initializer_list<std::string_view> extras) {
  const bool logits = kind == PredictionKind::kLogits;
  LossTraits traits;
  traits.targets = logits ? TargetsRole::kLabels : TargetsRole::kNone;
  traits.layout = logits ? RowLayout::kLastAxis : RowLayout::kElements;
  for (const std::string_view name : extras) {
    traits.extras.push_back({.name = name, .shape = ExtraInput::Shape::kRows});
  }
  return traits;
}

std::optional<Offence> ExplainToken(const RowView& row,
                                    const ExplainElement& explain) {
  if (auto offence = ExplainLabel(row)) return offence;
  if (auto offence = ExplainLogarithms(row.predictions, true,
                                       Offence::Tensor::kPredictions)) {
    return offence;
  }
  const auto token = static_cast<size_t>(*row.label);
  if (std::isinf(row.predictions[token])) {
    return Offence{Offence::Tensor::kPredictions, token,
                   "-inf for the token that was taken",
                   "logits by which that token is possible"};
  }
  std::vector<double> extras;
  for (const std::span<const double> extra : row.extras) {
    if (!extra.empty()) extras.push_back(extra[0]);
  }
  auto offence = explain(LogProbability(row.predictions, token), 0, extras);
  if (offence && offence->tensor == Offence::Tensor::kPredictions) {
    offence->column = token;
  }
  return offence;
}

std::optional<Offence> ExplainRatio(double prediction, double /*target*/,
                                    std::span<const double> extras) {
  const double difference = prediction - extras[0];
  if (!(difference > kLargeDifference)) return std::nullopt;
  return Offence{Offence::Tensor::kPredictions, 0,
                 "a log-probability of " + NumberText(prediction) + ", " +
                     NumberText(difference) + " above old_log_probabilities",
                 "log-probabilities whose ratio, e to this difference, and "
                 "loss are finite"};
}

}  // namespace lossd
