#ifndef LOSSD_SERVER_SELFTEST_H_
#define LOSSD_SERVER_SELFTEST_H_

#include "absl/status/status.h"

namespace lossd {

// Computes every loss of the registry on a few stored numbers, in float32 and
// float64, loss and gradient, and compares them with stored results: a vector
// target that this machine runs wrongly must not serve. INTERNAL, naming the
// loss and the numbers, if one differs.
absl::Status RunSelfTest();

}  // namespace lossd

#endif  // LOSSD_SERVER_SELFTEST_H_
