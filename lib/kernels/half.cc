#include "lib/kernels/half.h"

#include <algorithm>

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
    ConvertToFloat<Dtype::kBfloat16>(codes, count, to);
  } else {
    ConvertToFloat<Dtype::kFloat16>(codes, count, to);
  }
}

template <bool kStream>
void ToHalfAs(Dtype half, const float* from, size_t count, uint16_t* codes) {
  if (half == Dtype::kBfloat16) {
    ConvertToHalf<Dtype::kBfloat16, kStream>(from, count, codes);
  } else {
    ConvertToHalf<Dtype::kFloat16, kStream>(from, count, codes);
  }
}

void ToHalf(Dtype half, const float* from, size_t count, uint16_t* codes,
            bool stream) {
  if (stream) {
    const size_t beyond = reinterpret_cast<uintptr_t>(codes) % 64;
    const size_t head = std::min(count, (64 - beyond) % 64 / sizeof(uint16_t));
    ToHalfAs<true>(half, from + head, count - head, codes + head);
    count = head;
  }
  ToHalfAs<false>(half, from, count, codes);
}

bool AllFinite(Dtype half, const float* from, size_t count) {
  // Half way between the largest number and what would be the next.
  return half == Dtype::kBfloat16 ? AllBelow(from, count, 0x7F7F8000)
                                  : AllBelow(from, count, 0x477FF000);
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
HWY_EXPORT(AllFinite);

}  // namespace

void HalfToFloat(Dtype half, const uint16_t* codes, size_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(ToFloat)(half, codes, count, to);
}

void FloatToHalf(Dtype half, const float* from, size_t count, uint16_t* codes,
                 bool stream) {
  HWY_DYNAMIC_DISPATCH(ToHalf)(half, from, count, codes, stream);
}

bool AllFiniteAsHalf(Dtype half, const float* from, size_t count) {
  return HWY_DYNAMIC_DISPATCH(AllFinite)(half, from, count);
}

}  // namespace lossd
#endif  // HWY_ONCE
