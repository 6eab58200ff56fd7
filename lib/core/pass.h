#ifndef LOSSD_LIB_CORE_PASS_H_
#define LOSSD_LIB_CORE_PASS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/diagnostics.h"
#include "lib/core/problem.h"
#include "lib/core/row_weights.h"
#include "lib/core/violation.h"

namespace lossd {

// What all blocks amount to.
struct PassTotals {
  // Sum of weight * row loss.
  double loss_sum = 0;
  int64_t clipped_count = 0;
  std::vector<Diagnostic> diagnostics;
  std::vector<std::string> warnings;
};

// The second phase: one pass over the tensors in blocks, a function of the
// shape alone. Blocks that there is room for may run in any order and at the
// same time.
class Pass {
 public:
  virtual ~Pass() = default;

  virtual size_t blocks() const = 0;

  // Makes room for what the blocks before `end` amount to; while none runs.
  virtual void MakeRoom(size_t end) = 0;

  virtual void RunBlock(size_t block) = 0;

  // After these blocks: the first element that was refused, if any was.
  virtual std::optional<FieldViolation> Violation(size_t begin, size_t end) = 0;

  // After these and all before them, if nothing was refused: the losses of rows
  // that end in one of these and began in an earlier block.
  virtual void CompleteRows(size_t /*begin*/, size_t /*end*/) {}

  // After all blocks, if nothing was refused and all rows are complete.
  virtual PassTotals Finish() = 0;
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

// The refused number of an extra input that is not finite; nothing if it is.
// `element` counts over the flattened tensor.
std::optional<FieldViolation> UnreadableExtra(const Problem& problem,
                                              size_t extra, size_t element);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_PASS_H_
