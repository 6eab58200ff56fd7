// float16 and bfloat16 by arithmetic, not by bits as lib/ does it.

#ifndef LOSSD_TESTS_SUPPORT_HALF_H_
#define LOSSD_TESTS_SUPPORT_HALF_H_

#include <cstdint>

#include "lib/core/dtype.h"

namespace lossd::test {

// The nearest number of kFloat16 or kBfloat16, ties to even; infinite if it is
// too large for both neighbours.
double RoundToHalf(Dtype dtype, double number);

// The code of a number that the type holds, and the number of a code. All NaNs
// are one.
uint16_t HalfCode(Dtype dtype, double number);
double HalfNumber(Dtype dtype, uint16_t code);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_HALF_H_
