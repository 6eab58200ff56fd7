#if defined(LOSSD_LIB_KERNELS_POWER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_POWER_INL_H_
#undef LOSSD_LIB_KERNELS_POWER_INL_H_
#else
#define LOSSD_LIB_KERNELS_POWER_INL_H_
#endif

#include "hwy/highway.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/power.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// Powers of numbers in [0, 1] with an exponent >= -1 that is the same for all.
// Within (1 + exponent) ulp for the exponents of IsShortPower, else within
// about 4 |exponent log u| ulp. 0 to a negative power is 0, a number below 0 to
// one that is not short is NaN.
template <class T>
class Power {
 public:
  explicit Power(double exponent)
      : exponent_(static_cast<T>(exponent)),
        factors_(IsShortPower(exponent) ? static_cast<int>(exponent) : -1) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V u) const {
    if (factors_ >= 0) {
      V power = hn::Set(d, 1);
      for (int i = 0; i < factors_; ++i) power = hn::Mul(power, u);
      return power;
    }
    const V zero = hn::Zero(d);
    const auto positive = hn::Gt(u, zero);
    // Smaller than where double overflows.
    const V limit = hn::Set(d, T{700});
    const V log = LogOfPositive(d, hn::IfThenElse(positive, u, hn::Set(d, 1)));
    const V power =
        ExpUpToOne(d, hn::Min(hn::Mul(hn::Set(d, exponent_), log), limit));
    return hn::IfThenElse(hn::Ge(u, zero), hn::IfThenElseZero(positive, power),
                          NotANumber(d));
  }

 private:
  const T exponent_;
  // -1: the power is no product.
  const int factors_;
};

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_POWER_INL_H_
