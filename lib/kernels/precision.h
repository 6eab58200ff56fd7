#ifndef LOSSD_LIB_KERNELS_PRECISION_H_
#define LOSSD_LIB_KERNELS_PRECISION_H_

#include <cstddef>

namespace lossd {

// To the same numbers, and back to the nearest, ties to even; too large becomes
// infinite, NaN stays one. The same bits on every vector target. Thread-safe.
void FloatToDouble(const float* from, size_t count, double* to);
void DoubleToFloat(const double* from, size_t count, float* to);

// Whether all these numbers would be finite floats. Thread-safe.
bool AllFiniteAsFloat(const double* from, size_t count);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_PRECISION_H_
