#include "lib/losses/option_checks.h"

#include <cmath>
#include <optional>
#include <utility>

#include "lib/core/violation.h"

namespace lossd {
namespace {

absl::Status Refuse(std::string field, double number, std::string allowed) {
  return InvalidField(
      {std::move(field), std::nullopt, NumberText(number), std::move(allowed)});
}

}  // namespace

absl::Status CheckPositive(std::string field, double number) {
  if (std::isfinite(number) && number > 0) return absl::OkStatus();
  return Refuse(std::move(field), number, "finite and > 0");
}

absl::Status CheckNotNegative(std::string field, double number) {
  if (std::isfinite(number) && number >= 0) return absl::OkStatus();
  return Refuse(std::move(field), number, "finite and >= 0");
}

absl::Status CheckUnitInterval(std::string field, double number) {
  if (number >= 0 && number <= 1) return absl::OkStatus();
  return Refuse(std::move(field), number, "in [0, 1]");
}

absl::Status CheckPredictionKind(PredictionKind kind,
                                 bool log_probabilities_allowed) {
  const std::string kinds = log_probabilities_allowed
                                ? "LOGITS, PROBABILITIES or LOG_PROBABILITIES"
                                : "LOGITS or PROBABILITIES";
  if (kind == PredictionKind::kUnspecified) {
    return InvalidField(
        {"options.prediction_kind", std::nullopt, "nothing", kinds});
  }
  if (kind == PredictionKind::kLogProbabilities && !log_probabilities_allowed) {
    return InvalidField(
        {"options.prediction_kind", std::nullopt, "LOG_PROBABILITIES", kinds});
  }
  return absl::OkStatus();
}

absl::Status CheckZLoss(double z_loss, PredictionKind kind) {
  if (z_loss != 0 && kind != PredictionKind::kLogits) {
    return Refuse("options.z_loss", z_loss,
                  "0 unless prediction_kind is LOGITS");
  }
  return CheckNotNegative("options.z_loss", z_loss);
}

}  // namespace lossd
