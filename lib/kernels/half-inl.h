// float16 and bfloat16 to float and back, to nearest even, with the same bits
// on every target. Highway 1.0.3 truncates to bfloat16, and its float16 is
// wrong where it is not the processor's.

#if defined(LOSSD_LIB_KERNELS_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_HALF_INL_H_
#undef LOSSD_LIB_KERNELS_HALF_INL_H_
#else
#define LOSSD_LIB_KERNELS_HALF_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "lib/core/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using WideBits = hn::CappedTag<uint32_t, 16>;
using WideFloats = hn::CappedTag<float, 16>;

// Half of a vector of WideBits: as many numbers in 16 bits.
using NarrowBits = hn::Rebind<uint16_t, WideBits>;

HWY_INLINE hn::Vec<WideFloats> FloatsOfBfloat16(hn::Vec<NarrowBits> bits) {
  const hn::Vec<WideBits> wide = hn::PromoteTo(WideBits(), bits);
  return hn::BitCast(WideFloats(), hn::ShiftLeft<16>(wide));
}

// The low 16 bits of numbers that fit.
HWY_INLINE hn::Vec<NarrowBits> LowHalves(hn::Vec<WideBits> wide) {
  const hn::RebindToSigned<WideBits> di;
  return hn::DemoteTo(NarrowBits(), hn::BitCast(di, wide));
}

// NaN stays NaN, quiet, with its sign and upper payload.
HWY_INLINE hn::Vec<NarrowBits> Bfloat16OfFloats(hn::Vec<WideFloats> v) {
  const WideBits du;
  const auto bits = hn::BitCast(du, v);
  const auto upper = hn::ShiftRight<16>(bits);
  // Just below half, and one more where the result would be odd.
  const auto bias =
      hn::Add(hn::Set(du, 0x7FFF), hn::And(upper, hn::Set(du, 1)));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, bias));
  // Not Ne, which is false for NaN in Highway's vectors.
  const auto nan = hn::RebindMask(du, hn::Not(hn::Eq(v, v)));
  return LowHalves(
      hn::IfThenElse(nan, hn::Or(upper, hn::Set(du, 0x40)), rounded));
}

#if HWY_TARGET <= HWY_AVX2  // The better targets have smaller numbers.

using Float16s = hn::Rebind<hwy::float16_t, WideFloats>;

HWY_INLINE hn::Vec<WideFloats> FloatsOfFloat16(hn::Vec<NarrowBits> bits) {
  return hn::PromoteTo(WideFloats(), hn::BitCast(Float16s(), bits));
}

HWY_INLINE hn::Vec<NarrowBits> Float16OfFloats(hn::Vec<WideFloats> v) {
  return hn::BitCast(NarrowBits(), hn::DemoteTo(Float16s(), v));
}

#else  // By integers and one exact product, with the processor's results.

// NaN becomes quiet.
HWY_INLINE hn::Vec<WideFloats> FloatsOfFloat16(hn::Vec<NarrowBits> bits) {
  const WideBits du;
  const WideFloats df;
  const auto wide = hn::PromoteTo(du, bits);
  const auto size = hn::And(wide, hn::Set(du, 0x7FFF));
  const auto sign = hn::ShiftLeft<16>(hn::And(wide, hn::Set(du, 0x8000)));
  // As the float with these digits and 2^-112 of the value, subnormal ones too.
  const auto scaled = hn::BitCast(df, hn::ShiftLeft<13>(size));
  const auto finite = hn::BitCast(du, hn::Mul(scaled, hn::Set(df, 0x1p112f)));
  const auto special = hn::Gt(hn::BitCast(hn::RebindToSigned<WideBits>(), size),
                              hn::Set(hn::RebindToSigned<WideBits>(), 0x7BFF));
  const auto quiet = hn::IfThenElseZero(hn::Gt(size, hn::Set(du, 0x7C00)),
                                        hn::Set(du, 0x400000));
  const auto infinite =
      hn::Or(quiet, hn::Or(hn::ShiftLeft<13>(size), hn::Set(du, 0x7F800000)));
  return hn::BitCast(
      df, hn::Or(sign, hn::IfThenElse(hn::RebindMask(du, special), infinite,
                                      finite)));
}

// Too large becomes infinite; NaN stays NaN, quiet, with its sign and upper
// payload.
HWY_INLINE hn::Vec<NarrowBits> Float16OfFloats(hn::Vec<WideFloats> v) {
  const WideBits du;
  const hn::RebindToSigned<WideBits> di;
  const WideFloats df;
  const auto bits = hn::BitCast(du, v);
  const auto size = hn::And(bits, hn::Set(du, 0x7FFFFFFF));
  const auto sign = hn::ShiftRight<16>(hn::And(bits, hn::Set(du, 0x80000000)));
  // Normal results: exponent made smaller by 112, 13 digits rounded off. A
  // carry out of the digits is the next exponent, at the end infinity.
  const auto odd = hn::And(hn::ShiftRight<13>(size), hn::Set(du, 1));
  const auto normal =
      hn::ShiftRight<13>(hn::Add(hn::Sub(size, hn::Set(du, 112u << 23)),
                                 hn::Add(odd, hn::Set(du, 0xFFF))));
  // Subnormal results: adding 1/2, whose digits end where theirs do, rounds.
  const auto half = hn::Set(df, 0.5f);
  const auto subnormal =
      hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, size), half)),
              hn::BitCast(du, half));
  const auto nan_bits =
      hn::Or(hn::And(hn::ShiftRight<13>(size), hn::Set(du, 0x3FF)),
             hn::Set(du, 0x7E00));
  const auto above = [&](uint32_t limit) HWY_ATTR {
    return hn::RebindMask(du, hn::Gt(hn::BitCast(di, size),
                                     hn::Set(di, static_cast<int32_t>(limit))));
  };
  auto result = hn::IfThenElse(above(0x387FFFFF), normal, subnormal);
  // 65520 and more.
  result = hn::IfThenElse(above(0x477FEFFF), hn::Set(du, 0x7C00), result);
  result = hn::IfThenElse(above(0x7F800000), nan_bits, result);
  return LowHalves(hn::Or(sign, result));
}

#endif  // HWY_TARGET <= HWY_AVX2

// Calls convert(from, to) for whole vectors, the last through a buffer.
template <class From, class To, class Convert>
HWY_INLINE void ConvertAll(const From* from, size_t count, To* to,
                           Convert convert) {
  constexpr size_t kWidth = hn::MaxLanes(WideFloats());
  size_t i = 0;
  for (; i + kWidth <= count; i += kWidth) convert(from + i, to + i);
  if (i == count) return;
  From last[kWidth] = {};
  alignas(64) To converted[kWidth];
  std::copy_n(from + i, count - i, last);
  convert(last, converted);
  std::copy_n(converted, count - i, to + i);
}

template <Dtype kHalf>
HWY_INLINE void ConvertToFloat(const uint16_t* from, size_t count, float* to) {
  ConvertAll(from, count, to, [](const uint16_t* in, float* out) HWY_ATTR {
    const auto codes = hn::LoadU(NarrowBits(), in);
    hn::StoreU(kHalf == Dtype::kBfloat16 ? FloatsOfBfloat16(codes)
                                         : FloatsOfFloat16(codes),
               WideFloats(), out);
  });
}

// kStream: past the caches, to an address aligned to 64.
template <Dtype kHalf, bool kStream>
HWY_INLINE void ConvertToHalf(const float* from, size_t count, uint16_t* to) {
  ConvertAll(from, count, to, [](const float* in, uint16_t* out) HWY_ATTR {
    const auto floats = hn::LoadU(WideFloats(), in);
    const auto codes = kHalf == Dtype::kBfloat16 ? Bfloat16OfFloats(floats)
                                                 : Float16OfFloats(floats);
    if constexpr (kStream) {
      hn::Stream(codes, NarrowBits(), out);
    } else {
      hn::StoreU(codes, NarrowBits(), out);
    }
  });
  if constexpr (kStream) hwy::FlushStream();
}

// Whether all are smaller than the number with these bits; NaN is not.
HWY_INLINE bool AllBelow(const float* from, size_t count, uint32_t limit) {
  const hn::RebindToSigned<WideBits> di;
  constexpr size_t kWidth = hn::MaxLanes(WideBits());
  const auto size = hn::Set(di, 0x7FFFFFFF);
  auto largest = hn::Zero(di);
  size_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const auto bits = hn::BitCast(di, hn::LoadU(WideFloats(), from + i));
    largest = hn::Max(largest, hn::And(bits, size));
  }
  auto bits = hn::GetLane(hn::MaxOfLanes(di, largest));
  for (; i < count; ++i) {
    bits = std::max(bits, std::bit_cast<int32_t>(from[i]) & 0x7FFFFFFF);
  }
  return bits < static_cast<int32_t>(limit);
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_HALF_INL_H_
