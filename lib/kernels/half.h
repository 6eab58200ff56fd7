#ifndef LOSSD_LIB_KERNELS_HALF_H_
#define LOSSD_LIB_KERNELS_HALF_H_

#include <cstddef>
#include <cstdint>

#include "lib/core/dtype.h"

namespace lossd {

// Codes of kFloat16 or kBfloat16 as the floats that they are, and back to the
// nearest, ties to even; too large becomes infinite, NaN stays one. The same
// bits on every vector target. Thread-safe. `stream`: the codes are not read
// soon, write them past the caches.
void HalfToFloat(Dtype half, const uint16_t* codes, size_t count, float* to);
void FloatToHalf(Dtype half, const float* from, size_t count, uint16_t* codes,
                 bool stream = false);

// Whether the codes of all these floats would be finite. Thread-safe.
bool AllFiniteAsHalf(Dtype half, const float* from, size_t count);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_HALF_H_
