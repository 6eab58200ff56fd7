// The element-wise engine: everything that the losses with one value and one
// slope for each element have in common.
//
// A loss brings a functor,
//
//   template <class T>
//   struct Functor : ElementwiseFunctor {
//     Functor(const Params& params, Semantics semantics);
//     template <class D, class V = hn::Vec<D>>
//     HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const;
//   };
//
// which must not branch, read memory or keep state. Where an element is outside
// its domain it returns NaN as the value, on purpose or by its arithmetic;
// unless the semantics propagates, where only arithmetic may. A functor that
// gives more than value and slope says so by the constants of
// ElementwiseFunctor and returns a FullResult.

#if defined(LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
#undef LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
#else
#define LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// What a functor reads.
template <class V>
struct Operands {
  V prediction;
  // 0 for losses without targets.
  V target;
  // 1 without a column input.
  V column;
  // 0 where not given; only the functor's kExtras are set.
  V extras[kMaxExtras];
};

template <class V>
struct ValueAndSlope {
  V value;
  V slope;
};

template <class V>
struct FullResult {
  V value;
  V slope;
  // Of the differentiable extras, kExtraSlopes of them.
  V extra_slopes[kMaxGradients - 1];
  // The loss's diagnostics, kFigures of them.
  V figures[4];
  // 1 where the element was clipped, else 0; if kClips.
  V clipped;
};

struct ElementwiseFunctor {
  static constexpr size_t kExtras = 0;
  static constexpr size_t kExtraSlopes = 0;
  static constexpr size_t kFigures = 0;
  static constexpr bool kClips = false;
  // Whether to write large gradients past the caches. Pays where memory is what
  // a loss waits for (mse 13.9 against 11.6 ms), and costs as much as it saves,
  // and more, where arithmetic is (bce 29 against 46 ms).
  static constexpr bool kStreamsGradient = false;
  // Whether the largest of a figure is wanted instead of the sum.
  static constexpr bool IsMax(size_t /*figure*/) { return false; }
};

// Runs one block. Its parts are functions of their own, for the compiler's
// sake: together, with all of a loss's functors inlined, they took it minutes.
template <class T, class Functor>
class ElementwiseEngine {
 public:
  ElementwiseEngine(const Functor& functor, const ElementwiseArgs<T>& args)
      : functor_(functor), args_(args) {}

  HWY_INLINE ElementwiseSum Run() {
    size_t i = 0;
    if (args_.scales == nullptr && args_.column == nullptr &&
        args_.values == nullptr && args_.diagnostics == nullptr) {
      i = RunPlain();
    }
    if (i < args_.count) RunChunks(i);
    for (size_t k = 0; k < Functor::kFigures; ++k) {
      if (args_.diagnostics == nullptr) break;
      args_.diagnostics[k] =
          Functor::IsMax(k) ? static_cast<double>(
                                  hn::GetLane(hn::MaxOfLanes(d_, largest_[k])))
                            : figures_[k].Sum();
    }
    // NaN if one of the numbers added to it was infinite or NaN.
    const double poison = hn::GetLane(hn::SumOfLanes(d_, poison_));
    const double sum = sum_.Sum();
    // Floats that are finite have a sum that is.
    const bool finite = sizeof(T) == sizeof(double) || sum - sum == 0;
    return {sum, poison != 0 || !finite, clipped_};
  }

 private:
  using D = ChunkTag<T>;
  using V = hn::Vec<D>;

  bool Streams() const {
    bool aligned = true;
    for (const T* out : args_.gradients) {
      aligned &= reinterpret_cast<uintptr_t>(out) % (kWidth * sizeof(T)) == 0;
    }
    return args_.stream && aligned;
  }

  // The whole chunks of a block without weights, columns, values and figures:
  // the loop that is limited by memory. Returns how far it got.
  size_t RunPlain() {
    if (args_.gradients[0] == nullptr) return RunPlainOf<false, false>();
    if constexpr (Functor::kStreamsGradient) {
      if (Streams()) return RunPlainOf<true, true>();
    }
    return RunPlainOf<true, false>();
  }

  template <bool kGradient, bool kStream>
  HWY_NOINLINE size_t RunPlainOf() {
    // What is missing is read as the same zeros again and again.
    alignas(64) const T zeros[kSumLanes] = {};
    const T* const HWY_RESTRICT predictions = args_.predictions;
    const T* const HWY_RESTRICT targets = args_.targets ? args_.targets : zeros;
    const size_t target_step = args_.targets ? 1 : 0;
    const V scale = hn::Set(d_, args_.scale);
    const size_t end = args_.count / kSumLanes * kSumLanes;
    LaneAccumulator sum;
    V poison = hn::Zero(d_);
    for (size_t i = 0; i < end; i += kSumLanes) {
      HWY_UNROLL(4)
      for (size_t lane = 0; lane < kSumLanes; lane += kWidth) {
        Operands<V> in;
        in.prediction = hn::LoadU(d_, predictions + i + lane);
        in.target = hn::LoadU(d_, targets + i * target_step + lane);
        in.column = hn::Set(d_, T{1});
        for (size_t k = 0; k < Functor::kExtras; ++k) {
          const T* const extra = args_.extras[k];
          in.extras[k] = extra ? hn::LoadU(d_, extra + i + lane) : hn::Zero(d_);
        }
        auto result = functor_(d_, in);
        if (HWY_UNLIKELY(args_.propagate)) Propagate(in, result);
        sum.template Add<T>(result.value, lane);
        if constexpr (sizeof(T) == sizeof(double)) {
          poison = hn::MulAdd(result.value, hn::Zero(d_), poison);
        }
        if constexpr (Functor::kClips) {
          clipped_ += static_cast<int64_t>(
              hn::CountTrue(d_, hn::Ne(result.clipped, hn::Zero(d_))));
        }
        const auto store = [&](T* out, V slope) HWY_ATTR {
          const V product = hn::Mul(slope, scale);
          poison = hn::MulAdd(product, hn::Zero(d_), poison);
          if constexpr (kStream) {
            hn::Stream(product, d_, out + i + lane);
          } else {
            hn::StoreU(product, d_, out + i + lane);
          }
        };
        if constexpr (kGradient) store(args_.gradients[0], result.slope);
        if constexpr (kGradient && Functor::kExtraSlopes > 0) {
          for (size_t k = 0; k < Functor::kExtraSlopes; ++k) {
            T* const out = args_.gradients[1 + k];
            if (out != nullptr) store(out, result.extra_slopes[k]);
          }
        }
      }
    }
    if constexpr (kStream) hwy::FlushStream();
    sum_ = sum;
    poison_ = poison;
    return end;
  }

  // Everything else: sixteen elements at a time and then those left, whose
  // missing neighbours do not count.
  HWY_NOINLINE void RunChunks(size_t i) {
    for (; i < args_.count; i += kSumLanes) {
      RunChunk(i, std::min(args_.count - i, kSumLanes));
    }
  }

  HWY_INLINE void RunChunk(size_t i, size_t count) {
    const ChunkOr<T> predictions(args_.predictions, i, count, T{0});
    const ChunkOr<T> targets(args_.targets, i, count, T{0});
    const ChunkOr<T> columns(args_.column, i, count, T{1});
    const ChunkOr<T> scales(args_.scales, i, count, args_.scale);
    const ChunkOr<double> weights(args_.weights, i, count, 1);
    const ChunkOr<T> active(args_.active, i, count, T{1});
    alignas(64) T slopes[1 + Functor::kExtraSlopes][kSumLanes];
    alignas(64) double values[kSumLanes];
    for (size_t lane = 0; lane < kSumLanes; lane += kWidth) {
      Operands<V> in;
      in.prediction = predictions.Get(lane);
      in.target = targets.Get(lane);
      in.column = columns.Get(lane);
      for (size_t k = 0; k < Functor::kExtras; ++k) {
        const ChunkOr<T> extra(args_.extras[k], i, count, T{0});
        in.extras[k] = extra.Get(lane);
      }
      auto result = functor_(d_, in);
      if (HWY_UNLIKELY(args_.propagate)) Propagate(in, result);
      const auto counts = hn::And(hn::FirstN(d_, count - std::min(count, lane)),
                                  hn::Ne(active.Get(lane), hn::Zero(d_)));
      const V value = hn::IfThenElseZero(counts, result.value);
      poison_ = hn::Add(poison_, hn::Mul(value, hn::Zero(d_)));
      ForEachDoubles<T>(value, lane, [&](size_t at, auto part) HWY_ATTR {
        sum_.AddDoubles(hn::Mul(part, weights.Get(at)), at);
        hn::StoreU(part, ChunkTag<double>(), values + at);
      });
      if constexpr (Functor::kClips) {
        clipped_ += static_cast<int64_t>(hn::CountTrue(
            d_, hn::And(counts, hn::Ne(result.clipped, hn::Zero(d_)))));
      }
      if constexpr (Functor::kFigures > 0) {
        if (args_.diagnostics != nullptr) AddFigures(result, counts, lane);
      }
      const V scale = scales.Get(lane);
      const auto store = [&](size_t gradient, V slope) HWY_ATTR {
        if (args_.gradients[gradient] == nullptr) return;
        const V scaled = hn::IfThenElseZero(counts, hn::Mul(slope, scale));
        poison_ = hn::Add(poison_, hn::Mul(scaled, hn::Zero(d_)));
        hn::StoreU(scaled, d_, slopes[gradient] + lane);
      };
      store(0, result.slope);
      if constexpr (Functor::kExtraSlopes > 0) {
        for (size_t k = 0; k < Functor::kExtraSlopes; ++k) {
          store(1 + k, result.extra_slopes[k]);
        }
      }
    }
    if (args_.values != nullptr) {
      std::memcpy(args_.values + i, values, count * sizeof(double));
    }
    for (size_t k = 0; k <= Functor::kExtraSlopes; ++k) {
      if (args_.gradients[k] == nullptr) continue;
      std::memcpy(args_.gradients[k] + i, slopes[k], count * sizeof(T));
    }
  }

  // Functors may lose NaN on the way, in comparisons.
  template <class Result>
  HWY_INLINE void Propagate(const Operands<V>& in, Result& result) const {
    auto nan = hn::Or(hn::IsNaN(result.value),
                      hn::Or(hn::IsNaN(in.prediction), hn::IsNaN(in.target)));
    for (size_t k = 0; k < Functor::kExtras; ++k) {
      nan = hn::Or(nan, hn::IsNaN(in.extras[k]));
    }
    result.value = hn::IfThenElse(nan, NotANumber(d_), result.value);
    result.slope = hn::IfThenElse(nan, NotANumber(d_), result.slope);
    if constexpr (Functor::kExtraSlopes > 0) {
      for (size_t k = 0; k < Functor::kExtraSlopes; ++k) {
        V& slope = result.extra_slopes[k];
        slope = hn::IfThenElse(nan, NotANumber(d_), slope);
      }
    }
  }

  HWY_INLINE void AddFigures(const FullResult<V>& result, hn::Mask<D> counts,
                             size_t lane) {
    for (size_t k = 0; k < Functor::kFigures; ++k) {
      const V figure = hn::IfThenElseZero(counts, result.figures[k]);
      if (Functor::IsMax(k)) {
        largest_[k] = hn::Max(largest_[k], figure);
      } else {
        figures_[k].template Add<T>(figure, lane);
      }
    }
  }

  static constexpr size_t kWidth = hn::MaxLanes(D());
  const D d_;
  const Functor& functor_;
  const ElementwiseArgs<T>& args_;
  LaneAccumulator sum_;
  V poison_ = hn::Zero(D());
  int64_t clipped_ = 0;
  LaneAccumulator figures_[Functor::kFigures + 1];
  // Figures of which the largest is wanted are never negative.
  V largest_[Functor::kFigures + 1] = {};
};

template <class T, class Functor>
HWY_INLINE ElementwiseSum RunElementwise(const Functor& functor,
                                         const ElementwiseArgs<T>& args) {
  return ElementwiseEngine<T, Functor>(functor, args).Run();
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_ELEMENTWISE_INL_H_
