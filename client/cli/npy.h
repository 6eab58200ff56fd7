// The .npy format of NumPy, versions 1 to 3: a magic string, a header that is
// the text of a Python dictionary, then the elements.
// Source: numpy.org/doc/stable/reference/generated/numpy.lib.format.html

#ifndef LOSSD_CLIENT_CLI_NPY_H_
#define LOSSD_CLIENT_CLI_NPY_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/cli/array_data.h"

namespace lossd::cli {

// The array in `text`, a whole file. Little-endian float16, float32, float64,
// int32, int64, bool and, as two bytes without a type, bfloat16 in C order are
// read: NumPy knows no bfloat16, and that is what it makes of those of
// ml_dtypes (JAX, TensorFlow). Anything else fails with
// INVALID_ARGUMENT and what to do about it: other element types, big-endian
// numbers, Fortran order, files cut short or too long, text that is no .npy.
absl::StatusOr<Array> ParseNpy(const std::string& text);

// `array` as a file of version 1. bfloat16 is written as it is read; in NumPy,
// a.view(ml_dtypes.bfloat16).
std::string FormatNpy(const Array& array);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_NPY_H_
