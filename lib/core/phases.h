#ifndef LOSSD_LIB_CORE_PHASES_H_
#define LOSSD_LIB_CORE_PHASES_H_

#include <memory>
#include <utility>

#include "lib/core/pass.h"
#include "lib/core/problem.h"
#include "lib/core/row_weights.h"

namespace lossd {

// A planned loss and what runs its two phases. Neither copied nor moved: the
// phases borrow the problem.
struct Phases {
  explicit Phases(Problem planned)
      : problem(std::move(planned)),
        weights(problem),
        pass(problem.rowwise() != nullptr
                 ? MakeRowwisePass(problem, weights)
                 : MakeElementwisePass(problem, weights)) {}
  Phases(const Phases&) = delete;
  Phases& operator=(const Phases&) = delete;

  // After the first phase, if it found nothing to refuse and before the second.
  void FinishWeighing() {
    weights.Finish();
    problem.in_double |= !weights.ScalesFitFloat(0, weights.blocks());
  }

  Problem problem;
  RowWeights weights;
  std::unique_ptr<Pass> pass;
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_PHASES_H_
