#include "lib/losses/huber.h"

#include "lib/core/dtype.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/huber.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : ElementwiseFunctor {
  static constexpr bool kStreamsGradient = true;
  Functor(const HuberParams& params, Semantics)
      : delta(static_cast<T>(params.delta)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V limit = hn::Set(d, delta);
    const V difference = hn::Sub(in.prediction, in.target);
    const V slope = hn::Min(hn::Max(difference, hn::Neg(limit)), limit);
    // slope * (r - slope / 2) is r^2 / 2 inside, delta * (|r| - delta / 2)
    // outside, and not finite when r is not.
    const V inner = hn::Sub(difference, hn::Mul(hn::Set(d, T{0.5}), slope));
    return {hn::Mul(slope, inner), slope};
  }

  T delta;
};

LOSSD_ELEMENTWISE_TARGETS(HuberParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(HuberParams)

}  // namespace

LossKernel Huber::Kernel(const Params& params, Semantics semantics) {
  return {.traits = {.double_only = !FitsFloat(params.delta)},
          .engine = MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
