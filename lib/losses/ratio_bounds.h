#ifndef LOSSD_LIB_LOSSES_RATIO_BOUNDS_H_
#define LOSSD_LIB_LOSSES_RATIO_BOUNDS_H_

#include "absl/status/status.h"

namespace lossd {

// INVALID_ARGUMENT naming "options.clip_low" unless it is at most clip_high.
absl::Status CheckRatioBounds(double clip_low, double clip_high);

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_RATIO_BOUNDS_H_
