#ifndef LOSSD_SERVER_SELFTEST_H_
#define LOSSD_SERVER_SELFTEST_H_

#include <vector>

#include "absl/status/status.h"
#include "server/selftest_cases.h"

namespace lossd {

// Computes every loss of the registry on a few stored numbers, in float32 and
// float64, loss and gradients, and compares them with stored results: a vector
// target that this machine runs wrongly must not serve. INTERNAL, naming the
// loss and the numbers, if one differs; so too if a loss has no case.
absl::Status RunSelfTest(
    const std::vector<SelfTestCase>& cases = SelfTestCases());

}  // namespace lossd

#endif  // LOSSD_SERVER_SELFTEST_H_
