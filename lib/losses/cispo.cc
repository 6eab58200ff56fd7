#include "lib/losses/cispo.h"

#include "lib/kernels/policy_dispatch.h"
#include "lib/losses/ratio_bounds.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/cispo.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/policy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : ClippedRatioFunctor<T> {
  Functor(const CispoParams& params, Semantics semantics)
      : ClippedRatioFunctor<T>(params.clip_low, params.clip_high, semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const auto log_ratio = Difference(d, in.prediction, in.extras[0]);
    const V ratio = ExpOfDifferenceOrInfinity(d, log_ratio);
    const V weight = hn::Mul(this->Clamp(d, ratio), in.extras[1]);
    FullResult<V> result;
    result.value = this->Checked(d, log_ratio.rounded, ratio,
                                 MinusProduct(d, weight, in.prediction));
    result.slope = hn::Sub(hn::Zero(d), weight);
    result.figures[0] = ratio;
    result.figures[1] = ratio;
    const auto outside = hn::Or(hn::Lt(ratio, hn::Set(d, this->low)),
                                hn::Gt(ratio, hn::Set(d, this->high)));
    result.figures[2] = hn::IfThenElseZero(outside, hn::Set(d, 1));
    return result;
  }
};

LOSSD_POLICY_TARGETS(CispoParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_POLICY_DISPATCH(CispoParams)

}  // namespace

absl::Status Cispo::Validate(const Params& params) {
  return CheckRatioBounds(params.clip_low, params.clip_high);
}

LossKernel Cispo::Kernel(const Params& params, Semantics semantics) {
  return MakePolicyKernel(params, semantics,
                          BoundedRatioTraits(params.prediction_kind,
                                             params.clip_low, params.clip_high),
                          ExplainRatio);
}

}  // namespace lossd
#endif  // HWY_ONCE
