#ifndef LOSSD_LIB_KERNELS_MULTICLASS_HINGE_H_
#define LOSSD_LIB_KERNELS_MULTICLASS_HINGE_H_

#include <cstdint>

#include "lib/kernels/loss_kernel.h"

namespace lossd {

// Which of the losses that want the score of the right class ahead of the
// others.
enum class HingeForm : uint8_t {
  kLargest,  // multiclass_hinge: of labels, the largest of the others
  kSum,      // multi_margin: of labels, the sum over the others
  kDense,    // categorical_hinge: of dense targets, the largest
};

struct MulticlassHingeOptions {
  HingeForm form = HingeForm::kLargest;
  // kSum only: 1 or 2.
  int64_t p = 1;
  // kSum only; finite.
  double margin = 1;
};

// The row kernel of the three; their headers give the formulas. What decides
// whether and by how much a row misses its margin is computed in double or as
// exactly, so float32 and float64 agree about it.
//
// Refuses, unless it is to propagate, what is not finite and dense targets
// outside [0, 1]; always labels that are no class. A row that propagates NaN
// has a gradient of NaN.
//
// kDense must be run in double: soft targets' products cancel.
//
// Thread-safe. The traits are complete but for a column input, which kSum
// reads as weights of the classes.
LossKernel MulticlassHingeKernel(const MulticlassHingeOptions& options);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_MULTICLASS_HINGE_H_
