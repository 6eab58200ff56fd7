#include "lib/result.h"

#include <cmath>
#include <limits>
#include <utility>

#include "lib/core/status_macros.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

absl::Status CheckFinite(const Problem& problem, const LossResult& result) {
  if (!std::isfinite(result.weight_sum)) {
    return InvalidField({"sample_weights.data", std::nullopt,
                         "weights whose sum overflows float64",
                         "weights with a finite sum, class weights included"});
  }
  if (problem.reduction == Reduction::kWeightedMean && result.normalizer == 0 &&
      result.loss_sum != 0) {
    return InvalidField({"reduction", std::nullopt,
                         "WEIGHTED_MEAN of weights whose sum is 0",
                         "weights whose sum is > 0 where a row has a loss"});
  }
  if (!std::isfinite(result.loss_sum) || std::isinf(result.loss)) {
    return InvalidField({"predictions.data", std::nullopt,
                         "losses whose sum overflows float64",
                         "rows whose weighted losses have a finite sum"});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LossResult> MakeResult(const Problem& problem,
                                      const RowWeights& weights,
                                      PassTotals totals) {
  LossResult result;
  result.loss_sum = totals.loss_sum;
  result.weight_sum = weights.weight_sum();
  result.normalizer = weights.normalizer();
  result.row_count = weights.row_count();
  result.masked_count = weights.masked_count();
  result.ignored_count = weights.ignored_count();
  result.clipped_count = totals.clipped_count;
  result.reduction = problem.reduction;
  result.diagnostics = std::move(totals.diagnostics);
  result.warnings = std::move(totals.warnings);
  const bool divides = problem.reduction != Reduction::kNone;
  if (divides && result.normalizer != 0) {
    result.loss = result.loss_sum / result.normalizer;
  } else if (!divides || problem.semantics == Semantics::kPytorch) {
    result.loss = kNan;
  }
  if (!problem.propagate()) LOSSD_RETURN_IF_ERROR(CheckFinite(problem, result));
  if (problem.rowwise() != nullptr && problem.columns == 1 &&
      problem.rows > 0 && problem.traits().targets == TargetsRole::kLabels) {
    result.warnings.push_back(
        "there is only one class: the loss of every row says nothing");
  }
  return result;
}

}  // namespace lossd
