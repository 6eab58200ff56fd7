#ifndef LOSSD_LIB_CORE_PASS_H_
#define LOSSD_LIB_CORE_PASS_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "lib/core/problem.h"
#include "lib/core/row_weights.h"
#include "lib/core/violation.h"

namespace lossd {

// The second phase: one pass over the tensors in blocks, a function of the
// shape alone. Blocks may run in any order and at the same time.
class Pass {
 public:
  virtual ~Pass() = default;

  virtual size_t blocks() const = 0;
  virtual void RunBlock(size_t block) = 0;

  // After all blocks: the first element that was refused, if any was.
  virtual std::optional<FieldViolation> Violation() = 0;

  // After all blocks, if nothing was refused: completes the row losses and
  // returns the sum of weight * row loss.
  virtual double Finish() = 0;
};

// Both borrow problem and weights. The weights must be finished before the
// first block runs.
std::unique_ptr<Pass> MakeElementwisePass(const Problem& problem,
                                          const RowWeights& weights);
std::unique_ptr<Pass> MakeRowwisePass(const Problem& problem,
                                      const RowWeights& weights);

// Describes an offence in row `row` of the problem.
FieldViolation ViolationAt(const Problem& problem, size_t row,
                           const Offence& offence);

// The offence of an element, or of one in a row, that no check explains: its
// loss or its gradient is too large for the type of the computation.
FieldViolation OverflowAt(const Problem& problem, size_t element);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_PASS_H_
