#include "lib/core/numerics.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/core/numerics.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

bool HasFma() { return HWY_NATIVE_FMA != 0; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(TargetName);
HWY_EXPORT(HasFma);

}  // namespace

std::string_view SimdTarget() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

bool Reproducible() { return HWY_DYNAMIC_DISPATCH(HasFma)(); }

std::string_view NumericsVersion() { return Reproducible() ? "4" : "4-no-fma"; }

}  // namespace lossd
#endif  // HWY_ONCE
