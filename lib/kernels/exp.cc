#include "lib/kernels/exp.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/exp.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

double ExpOne(double x) {
  const hn::CappedTag<double, 1> d;
  return hn::GetLane(hn::Exp(d, hn::Set(d, x)));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(ExpOne);

}  // namespace

double Exp(double x) {
  // Where Highway's polynomial ends.
  constexpr double kLargest = 706;
  if (std::isnan(x)) return x;
  if (x > kLargest) return std::numeric_limits<double>::infinity();
  return HWY_DYNAMIC_DISPATCH(ExpOne)(x < -1000 ? -1000 : x);
}

}  // namespace lossd
#endif  // HWY_ONCE
