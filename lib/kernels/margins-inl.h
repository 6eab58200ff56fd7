// Differences that are compared with a margin: rounded first, they would fall
// on the wrong side of it or keep no digit of what is left.

#if defined(LOSSD_LIB_KERNELS_MARGINS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_MARGINS_INL_H_
#undef LOSSD_LIB_KERNELS_MARGINS_INL_H_
#else
#define LOSSD_LIB_KERNELS_MARGINS_INL_H_
#endif

#include <cmath>

#include "hwy/highway.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// A double as the sum of two numbers of type T; of double the second is 0.
template <class T>
struct Split {
  explicit Split(double number)
      : high(static_cast<T>(number)),
        low(std::isfinite(high) ? static_cast<T>(number - double{high}) : 0) {}

  // number + v; where both nearly cancel, with the digits of `low`.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Plus(D d, V v) const {
    return hn::Add(hn::Add(hn::Set(d, high), v), hn::Set(d, low));
  }

  T high;
  T low;
};

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_MARGINS_INL_H_
