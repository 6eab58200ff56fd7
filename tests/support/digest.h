// What a change of any bit of any result changes.

#ifndef LOSSD_TESTS_SUPPORT_DIGEST_H_
#define LOSSD_TESTS_SUPPORT_DIGEST_H_

#include <string>

#include "tests/support/loss_cases.h"

namespace lossd::test {

// 16 hexadecimal digits over loss, sums, row losses, gradients and diagnostics
// of a case: float32 and float64, short and long rows, with and without
// weights, under every semantics. The inputs come from integer arithmetic and
// a few logarithms of libm, which are rounded away.
std::string DigestOf(const LossCase& loss_case);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_DIGEST_H_
