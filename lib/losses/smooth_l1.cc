#include "lib/losses/smooth_l1.h"

#include "lib/core/dtype.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/smooth_l1.cc"
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
  Functor(const SmoothL1Params& params, Semantics)
      : beta(static_cast<T>(params.beta)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V one = hn::Set(d, 1);
    const V difference = hn::Sub(in.prediction, in.target);
    // 0 / 0 where beta is 0.
    const V ratio = hn::IfThenZeroElse(hn::Eq(difference, hn::Zero(d)),
                                       hn::Div(difference, hn::Set(d, beta)));
    const V slope = hn::Min(hn::Max(ratio, hn::Neg(one)), one);
    // slope * (r - slope * beta / 2) is r^2 / (2 beta) inside, |r| - beta / 2
    // outside, and not finite when r is not.
    const V half_beta = hn::Set(d, T{0.5} * beta);
    const V inner = hn::Sub(difference, hn::Mul(slope, half_beta));
    return {hn::Mul(slope, inner), slope};
  }

  T beta;
};

LOSSD_ELEMENTWISE_TARGETS(SmoothL1Params, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(SmoothL1Params)

}  // namespace

LossKernel SmoothL1::Kernel(const Params& params, Semantics semantics) {
  return {
      .traits = {.double_only = params.beta != 0 && !FitsFloat(params.beta)},
      .engine = MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
