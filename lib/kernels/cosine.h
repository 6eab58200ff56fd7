#ifndef LOSSD_LIB_KERNELS_COSINE_H_
#define LOSSD_LIB_KERNELS_COSINE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

// What the squared lengths of the vectors are kept from 0 by.
enum class LengthGuard : uint8_t {
  kFloor,  // they are at least epsilon; a vector of length 0 has no slope
  kAdd,    // epsilon is added to them
};

struct CosineOptions {
  Semantics semantics = Semantics::kStrict;
  LengthGuard guard = LengthGuard::kFloor;
  double epsilon = 1e-12;
  // The loss is -c instead of 1 - c.
  bool negative = false;
  // Targets say which pairs are alike; see cosine_embedding.h.
  bool pairs = false;
  double margin = 0;
};

// The row kernel of cosine and cosine_embedding; their headers give the
// formulas. Of the predictions p and of o, which are the dense targets or, with
// `pairs`, the extra input "other_predictions".
//
// Stable form: with r = p - (p . o / |o|^2) o, the part of p that is orthogonal
// to o,
//   1 - c = (1 - c^2) / (1 + c),  1 - c^2 = |r|^2 |o|^2 / (A B) + what the
//           guards add,  A, B = guarded squares of the lengths,
// for c > 0, so that vectors of nearly the same direction keep their digits.
//
// Always run in double: 1 - c and the slopes of such vectors are differences
// that a float rounds away.
LossKernel CosineKernel(const CosineOptions& options);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_COSINE_H_
