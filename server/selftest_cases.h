// Losses of a few stored numbers, for the self-test.

#ifndef LOSSD_SERVER_SELFTEST_CASES_H_
#define LOSSD_SERVER_SELFTEST_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lib/losses/registry.h"

namespace lossd {

// An extra input: as many numbers as there are predictions, or one a row.
struct SelfTestExtra {
  std::string name;
  std::vector<double> numbers;
  // Empty: it has no gradient.
  std::vector<double> gradient = {};
};

// Results are those of the definition in float64, differentiated by PyTorch,
// with the reduction MEAN. All numbers are about 1, and inputs are floats.
struct SelfTestCase {
  LossParams params;
  // Of the predictions; rows are entries of the first axis.
  std::vector<int64_t> shape;
  std::vector<double> predictions;
  // At most one of both: as many numbers as there are predictions or one a row;
  // a class a row.
  std::vector<double> targets = {};
  std::vector<int64_t> labels = {};
  std::vector<SelfTestExtra> extras = {};
  double loss = 0;
  std::vector<double> gradient;
};

// At least one for each loss of the registry, in its order.
const std::vector<SelfTestCase>& SelfTestCases();

}  // namespace lossd

#endif  // LOSSD_SERVER_SELFTEST_CASES_H_
