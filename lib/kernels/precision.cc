#include "lib/kernels/precision.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/precision.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Doubles = hn::ScalableTag<double>;
using Floats = hn::Rebind<float, Doubles>;

// Half way between the largest float and what would be the next.
constexpr double kTooLarge = 0x1.ffffffp127;

void Widen(const float* from, size_t count, double* to) {
  size_t i = 0;
  for (; i + hn::MaxLanes(Doubles()) <= count; i += hn::MaxLanes(Doubles())) {
    const auto floats = hn::LoadU(Floats(), from + i);
    hn::StoreU(hn::PromoteTo(Doubles(), floats), Doubles(), to + i);
  }
  for (; i < count; ++i) to[i] = from[i];
}

void Narrow(const double* from, size_t count, float* to) {
  size_t i = 0;
  for (; i + hn::MaxLanes(Doubles()) <= count; i += hn::MaxLanes(Doubles())) {
    const auto doubles = hn::LoadU(Doubles(), from + i);
    hn::StoreU(hn::DemoteTo(Floats(), doubles), Floats(), to + i);
  }
  for (; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

bool AllFinite(const double* from, size_t count) {
  const Doubles d;
  const auto limit = hn::Set(d, kTooLarge);
  auto all = hn::Lt(hn::Zero(d), limit);
  size_t i = 0;
  for (; i + hn::MaxLanes(d) <= count; i += hn::MaxLanes(d)) {
    all = hn::And(all, hn::Lt(hn::Abs(hn::LoadU(d, from + i)), limit));
  }
  bool fits = hn::AllTrue(d, all);
  for (; i < count; ++i) fits &= std::abs(from[i]) < kTooLarge;
  return fits;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(Widen);
HWY_EXPORT(Narrow);
HWY_EXPORT(AllFinite);

}  // namespace

void FloatToDouble(const float* from, size_t count, double* to) {
  HWY_DYNAMIC_DISPATCH(Widen)(from, count, to);
}

void DoubleToFloat(const double* from, size_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(Narrow)(from, count, to);
}

bool AllFiniteAsFloat(const double* from, size_t count) {
  return HWY_DYNAMIC_DISPATCH(AllFinite)(from, count);
}

}  // namespace lossd
#endif  // HWY_ONCE
