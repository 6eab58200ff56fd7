#ifndef LOSSD_LIB_RESULT_H_
#define LOSSD_LIB_RESULT_H_

#include "absl/status/statusor.h"
#include "lib/compute.h"
#include "lib/core/pass.h"
#include "lib/core/problem.h"
#include "lib/core/row_weights.h"

namespace lossd {

// What both phases amount to. INVALID_ARGUMENT for sums that overflow.
absl::StatusOr<LossResult> MakeResult(const Problem& problem,
                                      const RowWeights& weights,
                                      PassTotals totals);

}  // namespace lossd

#endif  // LOSSD_LIB_RESULT_H_
