#ifndef LOSSD_LIB_KERNELS_EXP_H_
#define LOSSD_LIB_KERNELS_EXP_H_

namespace lossd {

// e^x with the same bits on every target, for what is computed once a call;
// infinite where double cannot hold it, NaN for NaN. Thread-safe.
double Exp(double x);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_EXP_H_
