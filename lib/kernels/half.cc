#include "lib/kernels/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/half.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

void ToFloat(Dtype half, const uint16_t* codes, size_t count, float* to) {
  if (half == Dtype::kBfloat16) {
    ConvertBfloat16ToFloat(codes, count, to);
  } else {
    ConvertFloat16ToFloat(codes, count, to);
  }
}

void ToHalf(Dtype half, const float* from, size_t count, uint16_t* codes) {
  if (half == Dtype::kBfloat16) {
    ConvertFloatToBfloat16(from, count, codes);
  } else {
    ConvertFloatToFloat16(from, count, codes);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(ToFloat);
HWY_EXPORT(ToHalf);

}  // namespace

void HalfToFloat(Dtype half, const uint16_t* codes, size_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(ToFloat)(half, codes, count, to);
}

void FloatToHalf(Dtype half, const float* from, size_t count, uint16_t* codes) {
  HWY_DYNAMIC_DISPATCH(ToHalf)(half, from, count, codes);
}

}  // namespace lossd
#endif  // HWY_ONCE
