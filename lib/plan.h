#ifndef LOSSD_LIB_PLAN_H_
#define LOSSD_LIB_PLAN_H_

#include "absl/status/statusor.h"
#include "lib/compute.h"
#include "lib/core/problem.h"

namespace lossd {

// The loss with what the semantics decides of it. INVALID_ARGUMENT for options
// that are not allowed.
absl::StatusOr<LossKernel> KernelOf(const LossSpec& spec);

// Checks a call as far as that does not need the tensors' contents, small
// tensors apart. Errors as of Computation::Plan.
absl::StatusOr<Problem> PlanProblem(const LossSpec& spec, const Inputs& inputs,
                                    const Outputs& outputs);

}  // namespace lossd

#endif  // LOSSD_LIB_PLAN_H_
