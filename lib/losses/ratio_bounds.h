#ifndef LOSSD_LIB_LOSSES_RATIO_BOUNDS_H_
#define LOSSD_LIB_LOSSES_RATIO_BOUNDS_H_

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// What ppo and cispo, which bound the ratio of probabilities, have in common.

// INVALID_ARGUMENT naming "options.clip_low" unless it is at most clip_high.
absl::Status CheckRatioBounds(double clip_low, double clip_high);

LossTraits BoundedRatioTraits(PredictionKind prediction_kind, double clip_low,
                              double clip_high);

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_RATIO_BOUNDS_H_
