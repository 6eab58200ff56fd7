// Checks that options of several losses share. Each returns INVALID_ARGUMENT
// naming the field.

#ifndef LOSSD_LIB_LOSSES_OPTION_CHECKS_H_
#define LOSSD_LIB_LOSSES_OPTION_CHECKS_H_

#include <string>

#include "absl/status/status.h"
#include "lib/core/spec.h"

namespace lossd {

// Finite and > 0.
absl::Status CheckPositive(std::string field, double number);

// Finite and >= 0.
absl::Status CheckNotNegative(std::string field, double number);

// In [0, 1].
absl::Status CheckUnitInterval(std::string field, double number);

// Set, and not log-probabilities unless they are allowed.
absl::Status CheckPredictionKind(PredictionKind kind,
                                 bool log_probabilities_allowed);

// >= 0, and 0 unless predictions are logits.
absl::Status CheckZLoss(double z_loss, PredictionKind kind);

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_OPTION_CHECKS_H_
