// The element-wise engine: everything that the losses with one value and one
// slope for each element have in common.
//
// A loss brings a functor:
//
//   template <class D, class V> ValueAndSlope<V> operator()(
//       D d, V prediction, V target, V column) const;
//
// It must not branch, read memory or keep state. Where an element is outside
// its domain it returns NaN as the value, on purpose or by its arithmetic;
// `column` is 1 when the loss got no column input.

#if defined(LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
#undef LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
#else
#define LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

template <class V>
struct ValueAndSlope {
  V value;
  V slope;
};

// Whether to write gradients past the caches when they are large. Pays where
// memory is what a loss waits for (mse 13.9 against 11.6 ms), and costs as much
// as it saves, and more, where arithmetic is (bce 29 against 46 ms).
template <class Functor>
constexpr bool StreamsGradient() {
  if constexpr (requires { Functor::kStreamsGradient; }) {
    return Functor::kStreamsGradient;
  }
  return false;
}

// Runs one block. kVaried: with scales, weights and active.
template <bool kVaried, class T, class Functor>
class ElementwiseEngine {
 public:
  ElementwiseEngine(const Functor& functor, const ElementwiseArgs<T>& args)
      : functor_(functor), args_(args) {}

  HWY_INLINE ElementwiseSum Run() {
    size_t i = 0;
    if (!kVaried && args_.column == nullptr && args_.values == nullptr) {
      i = args_.gradient == nullptr ? RunPlain<false, false>()
          : StreamsTo(args_.gradient)
              ? RunPlain<true, StreamsGradient<Functor>()>()
              : RunPlain<true, false>();
    }
    for (; i + kSumLanes <= args_.count; i += kSumLanes) {
      RunChunk<true>(i, kSumLanes);
    }
    if (i < args_.count) RunChunk<false>(i, args_.count - i);
    // NaN if one of the numbers added to it was infinite or NaN.
    const double poison = hn::GetLane(hn::SumOfLanes(d_, poison_));
    const double sum = sum_.Sum();
    return {sum, poison != 0 || (sizeof(T) == 4 && !(sum - sum == 0))};
  }

 private:
  using D = ChunkTag<T>;
  using V = hn::Vec<D>;

  bool StreamsTo(const T* out) const {
    return StreamsGradient<Functor>() && args_.stream &&
           reinterpret_cast<uintptr_t>(out) % (hn::MaxLanes(D()) * sizeof(T)) ==
               0;
  }

  // The whole chunks of a block without weights, columns and values: the loop
  // that is limited by memory. Returns how far it got.
  template <bool kGradient, bool kStream>
  HWY_INLINE size_t RunPlain() {
    const T* HWY_RESTRICT predictions = args_.predictions;
    const T* HWY_RESTRICT targets = args_.targets;
    T* const gradient = args_.gradient;
    const V one = hn::Set(d_, T{1});
    const V scale = hn::Set(d_, args_.scale);
    const size_t end = args_.count / kSumLanes * kSumLanes;
    LaneAccumulator sum;
    V poison = hn::Zero(d_);
    for (size_t i = 0; i < end; i += kSumLanes) {
      HWY_UNROLL(4)
      for (size_t lane = 0; lane < kSumLanes; lane += kWidth) {
        const auto [value, slope] =
            functor_(d_, hn::LoadU(d_, predictions + i + lane),
                     hn::LoadU(d_, targets + i + lane), one);
        sum.template Add<T>(value, lane);
        if constexpr (sizeof(T) == sizeof(double)) {
          poison = hn::MulAdd(value, hn::Zero(d_), poison);
        }
        if constexpr (kGradient) {
          const V product = hn::Mul(slope, scale);
          poison = hn::MulAdd(product, hn::Zero(d_), poison);
          if constexpr (kStream) {
            hn::Stream(product, d_, gradient + i + lane);
          } else {
            hn::StoreU(product, d_, gradient + i + lane);
          }
        }
      }
    }
    if constexpr (kStream) hwy::FlushStream();
    sum_ = sum;
    poison_ = poison;
    return end;
  }

  // Sixteen elements (kWhole), or the last `live`, whose missing neighbours are
  // copies of the first and do not count.
  template <bool kWhole>
  HWY_INLINE void RunChunk(size_t i, size_t live) {
    const size_t count = kWhole ? kSumLanes : live;
    const Chunk<T> predictions(args_.predictions + i, count,
                               args_.predictions[i]);
    const Chunk<T> targets(args_.targets + i, count, args_.targets[i]);
    const T one = 1;
    const Chunk<T> columns(args_.column ? args_.column + i : &one,
                           args_.column ? count : 0, one);
    const Chunk<T> scales(kVaried ? args_.scales + i : &one,
                          kVaried ? count : 0, one);
    const Chunk<T> active(kVaried ? args_.active + i : &one,
                          kVaried ? count : 0, one);
    alignas(64) T slopes[kSumLanes];
    alignas(64) double values[kSumLanes];
    for (size_t lane = 0; lane < kSumLanes; lane += kWidth) {
      const V column = args_.column ? columns.Get(lane) : hn::Set(d_, one);
      const auto [value, slope] =
          functor_(d_, predictions.Get(lane), targets.Get(lane), column);
      const auto select = [&](V v) HWY_ATTR {
        if constexpr (kVaried) {
          v = hn::IfThenElseZero(hn::Ne(active.Get(lane), hn::Zero(d_)), v);
        }
        if constexpr (!kWhole) {
          const auto first = hn::FirstN(d_, count - std::min(count, lane));
          v = hn::IfThenElseZero(first, v);
        }
        return v;
      };
      const V counted = select(value);
      poison_ = hn::Add(poison_, hn::Mul(counted, hn::Zero(d_)));
      AddValues(counted, i, lane, count);
      if (args_.values != nullptr) {
        ForEachDoubles<T>(counted, lane, [&](size_t at, auto part) HWY_ATTR {
          hn::StoreU(part, ChunkTag<double>(), values + at);
        });
      }
      if (args_.gradient == nullptr) continue;
      const V scale = kVaried ? scales.Get(lane) : hn::Set(d_, args_.scale);
      const V gradient = select(hn::Mul(slope, scale));
      poison_ = hn::Add(poison_, hn::Mul(gradient, hn::Zero(d_)));
      hn::StoreU(gradient, d_,
                 kWhole ? args_.gradient + i + lane : slopes + lane);
    }
    if (args_.values != nullptr) {
      std::memcpy(args_.values + i, values, count * sizeof(double));
    }
    if (!kWhole && args_.gradient != nullptr) {
      std::memcpy(args_.gradient + i, slopes, count * sizeof(T));
    }
  }

  HWY_INLINE void AddValues(V values, size_t i, size_t lane, size_t count) {
    if constexpr (kVaried) {
      const Chunk<double> weights(args_.weights + i, count, 0);
      ForEachDoubles<T>(values, lane, [&](size_t at, auto part) HWY_ATTR {
        sum_.AddDoubles(hn::Mul(part, weights.Get(at)), at);
      });
    } else {
      sum_.template Add<T>(values, lane);
    }
  }

  static constexpr size_t kWidth = hn::MaxLanes(D());
  const D d_;
  const Functor& functor_;
  const ElementwiseArgs<T>& args_;
  LaneAccumulator sum_;
  V poison_ = hn::Zero(D());
};

template <class T, class Functor>
HWY_INLINE ElementwiseSum RunElementwise(const Functor& functor,
                                         const ElementwiseArgs<T>& args) {
  if (args.scales != nullptr) {
    return ElementwiseEngine<true, T, Functor>(functor, args).Run();
  }
  return ElementwiseEngine<false, T, Functor>(functor, args).Run();
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
