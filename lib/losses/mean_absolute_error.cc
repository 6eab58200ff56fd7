#include "lib/losses/mean_absolute_error.h"

#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/mean_absolute_error.cc"
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
  Functor(const MeanAbsoluteErrorParams&, Semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V difference = hn::Sub(in.prediction, in.target);
    const V sign = hn::CopySignToAbs(hn::Set(d, 1), difference);
    return {hn::Abs(difference),
            hn::IfThenElseZero(hn::Ne(difference, hn::Zero(d)), sign)};
  }
};

LOSSD_ELEMENTWISE_TARGETS(MeanAbsoluteErrorParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(MeanAbsoluteErrorParams)

}  // namespace

LossKernel MeanAbsoluteError::Kernel(const Params& params,
                                     Semantics semantics) {
  return {.engine = MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
