// Sums in 16 virtual lanes of double, whatever the width of a vector: the only
// file that knows how float vectors widen.

#if defined(LOSSD_LIB_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_LANES_INL_H_
#undef LOSSD_LIB_KERNELS_LANES_INL_H_
#else
#define LOSSD_LIB_KERNELS_LANES_INL_H_
#endif

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "hwy/highway.h"
#include "lib/core/sum.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Numbers are processed 16 at a time: one vector or several.
template <class T>
using ChunkTag = hn::CappedTag<T, kSumLanes>;

// Calls fn(lane, vector of double) for the parts of `v`, which holds the
// numbers of virtual lanes `lane` and up.
template <class T, class Fn>
HWY_INLINE void ForEachDoubles(hn::Vec<ChunkTag<T>> v, size_t lane, Fn fn) {
  if constexpr (std::is_same_v<T, double>) {
    fn(lane, v);
  } else {
#if HWY_TARGET == HWY_SCALAR
    fn(lane, hn::PromoteTo(hn::CappedTag<double, 1>(), v));
#else
    const hn::Half<ChunkTag<T>> half;
    const hn::Rebind<double, decltype(half)> wide;
    fn(lane, hn::PromoteTo(wide, hn::LowerHalf(half, v)));
    fn(lane + hn::MaxLanes(half), hn::PromoteTo(wide, hn::UpperHalf(half, v)));
#endif
  }
}

// Sixteen running sums.
class LaneAccumulator {
 public:
  // Adds the vector at virtual lanes `lane` and up.
  template <class T>
  HWY_INLINE void Add(hn::Vec<ChunkTag<T>> v, size_t lane) {
    ForEachDoubles<T>(v, lane, [this](size_t at, auto part) HWY_ATTR {
      AddDoubles(part, at);
    });
  }

  // The same for a vector of doubles.
  HWY_INLINE void AddDoubles(hn::Vec<ChunkTag<double>> v, size_t lane) {
    auto& sum = sums_[lane / kWidth];
    sum = hn::Add(sum, v);
  }

  HWY_INLINE double Sum() const {
    const ChunkTag<double> d;
    alignas(64) double lanes[kSumLanes];
    for (size_t i = 0; i < kVectors; ++i) {
      hn::Store(sums_[i], d, lanes + i * kWidth);
    }
    return CombineLanes(lanes);
  }

 private:
  static constexpr size_t kWidth = hn::MaxLanes(ChunkTag<double>());
  static constexpr size_t kVectors = kSumLanes / kWidth;
  hn::Vec<ChunkTag<double>> sums_[kVectors] = {};
};

// The same for numbers that come one at a time.
class ScalarLanes {
 public:
  // Adds number i of a row.
  HWY_INLINE void Add(double number, size_t i) {
    lanes_[i % kSumLanes] += number;
  }

  HWY_INLINE double Sum() { return CombineLanes(lanes_); }

 private:
  double lanes_[kSumLanes] = {};
};

// Sixteen numbers at `from`, or the last `count` of an array, filled up.
template <class T>
class Chunk {
 public:
  HWY_INLINE Chunk(const T* from, size_t count, T filler) : from_(from) {
    if (HWY_LIKELY(count >= kSumLanes)) return;
    for (size_t i = 0; i < kSumLanes; ++i) buffer_[i] = filler;
    std::memcpy(buffer_, from, count * sizeof(T));
    from_ = buffer_;
  }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  HWY_INLINE hn::Vec<ChunkTag<T>> Get(size_t lane) const {
    return hn::LoadU(ChunkTag<T>(), from_ + lane);
  }

 private:
  const T* from_;
  alignas(64) T buffer_[kSumLanes];
};

// A chunk of an array that may be missing: then every number is `filler`.
template <class T>
class ChunkOr {
 public:
  HWY_INLINE ChunkOr(const T* array, size_t i, size_t count, T filler)
      : given_(array != nullptr),
        filler_(filler),
        chunk_(given_ ? array + i : &filler_, given_ ? count : kSumLanes,
               filler) {}

  HWY_INLINE hn::Vec<ChunkTag<T>> Get(size_t lane) const {
    return given_ ? chunk_.Get(lane) : hn::Set(ChunkTag<T>(), filler_);
  }

 private:
  const bool given_;
  const T filler_;
  const Chunk<T> chunk_;
};

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_LANES_INL_H_
