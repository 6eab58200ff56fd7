// Multiplies gradients. Internal to the client.

#ifndef LOSSD_CLIENT_SCALE_H_
#define LOSSD_CLIENT_SCALE_H_

#include "client/array.h"

namespace lossd::client_internal {

// Multiplies every element with `factor`, in float64, and rounds the product to
// nearest even, or as the calling thread's floating-point mode has it. `array`
// has one of the dtypes of gradients.
void Scale(const MutableArrayView& array, double factor);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_SCALE_H_
