#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/support/loss_case_groups.h"
#include "tests/support/row_samplers.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

using Vector = std::vector<Number>;

constexpr auto kLogits = PredictionKind::kLogits;
constexpr auto kProbabilities = PredictionKind::kProbabilities;

// What the share of each class misses of 1, and -log of the share.
struct Classes {
  Vector others;
  Vector surprisals;
  // What rounding an exponent or a sum moves a share by, in units in the last
  // place.
  Number rounding = 1;
};

Classes ClassesOf(PredictionKind kind, const Vector& predictions) {
  Vector parts = predictions;
  Classes classes;
  if (kind == kLogits) {
    const auto [low, high] = std::ranges::minmax(predictions);
    for (Number& part : parts) part = std::exp(part - high);
    classes.rounding += high - low;
  }
  // Sums of what comes behind each class.
  Vector behind(parts.size());
  for (size_t k = parts.size() - 1; k > 0; --k) {
    behind[k - 1] = behind[k] + parts[k];
  }
  Number before = 0;
  for (size_t k = 0; k < parts.size(); ++k) {
    const Number others = before + behind[k];
    const Number sum = parts[k] + others;
    classes.others.push_back(others / sum);
    classes.surprisals.push_back(std::log1p(others / parts[k]));
    before += parts[k];
  }
  return classes;
}

Number SmoothTarget(const CategoricalFocalParams& params, Number target,
                    size_t classes) {
  return (1 - params.label_smoothing) * target +
         params.label_smoothing / static_cast<Number>(classes);
}

ReferenceRow Focal(const CategoricalFocalParams& params, const RowInputs& row) {
  const Classes classes = ClassesOf(params.prediction_kind, row.predictions);
  const Number gamma = params.gamma;
  ReferenceRow result;
  for (size_t k = 0; k < row.targets.size(); ++k) {
    const Number y = SmoothTarget(params, row.targets[k], row.targets.size());
    const Number others = classes.others[k];
    if (y == 0 || others == 0) continue;
    const Number term =
        *params.alpha * y * std::pow(others, gamma) * classes.surprisals[k];
    result.loss += term;
    // The power multiplies errors of its base, and rounds an exponent.
    result.scale += term * (1 + gamma * std::abs(std::log(others)) +
                            (1 + gamma) * classes.rounding);
  }
  return result;
}

void AddCategoricalFocal(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, CategoricalFocalParams params,
                       Sampler sample, bool soft) {
    CategoricalFocalParams resolved = params;
    resolved.alpha = params.alpha.value_or(1);
    LossCase added{
        .name = std::move(name), .params = params, .sample = std::move(sample)};
    if (params.prediction_kind == kProbabilities) added.length = ToZero;
    if (soft) {
      // What v of the header is less than, as q log q (1 - q)^(gamma - 1) is
      // than 1; of probabilities it is divided by q.
      added.slope_scale_at = [=](const Problem& problem, const std::string&,
                                 size_t i) {
        const double term = *resolved.alpha * (1 + resolved.gamma);
        return params.prediction_kind == kLogits
                   ? term
                   : term / problem.predictions[i];
      };
    }
    added.reference = [=](const RowInputs& row) {
      return Focal(resolved, row);
    };
    cases.push_back(std::move(added));
  };
  add("cfocal_logits", {.prediction_kind = kLogits},
      RowsOf(FillLogits(3), FillOneHot), false);
  add("cfocal_logits_confident", {.prediction_kind = kLogits},
      RowsOf(FillLogits(4), FillOneHot), false);
  add("cfocal_logits_options",
      {.prediction_kind = kLogits,
       .gamma = 1.5,
       .alpha = 0.25,
       .label_smoothing = 0.1},
      RowsOf(FillLogits(3), FillSoft), true);
  add("cfocal_logits_gamma_zero", {.prediction_kind = kLogits, .gamma = 0},
      RowsOf(FillLogits(3), FillSoft), true);
  add("cfocal_probabilities", {.prediction_kind = kProbabilities},
      RowsOf(FillDistribution, FillOneHot), false);
  add("cfocal_probabilities_options",
      {.prediction_kind = kProbabilities,
       .gamma = 0.5,
       .alpha = 0.75,
       .label_smoothing = 0.2},
      RowsOf(FillDistribution, FillSoft), true);
}

void AddNll(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, NllParams params, Sampler sample) {
    LossCase added{
        .name = std::move(name), .params = params, .sample = std::move(sample)};
    added.reference = [](const RowInputs& row) -> ReferenceRow {
      if (row.label == kIgnored) return {};
      const auto label = static_cast<size_t>(row.label);
      const Number weight = row.column.empty() ? 1 : row.column[label];
      const Number loss = -weight * row.predictions[label];
      return {loss, std::abs(loss)};
    };
    cases.push_back(std::move(added));
  };
  add("nll", {}, LabelsOf(FillLogarithms));
  add("nll_ignore", {.ignore_index = kIgnored}, LabelsOf(FillLogarithms, 0.3));
  add("nll_class_weights", {}, WithClassWeights(LabelsOf(FillLogarithms)));
}

}  // namespace

void AddClassCases(std::vector<LossCase>& cases) {
  AddCategoricalFocal(cases);
  AddNll(cases);
}

}  // namespace lossd::test
