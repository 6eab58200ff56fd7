#include "lib/losses/ppo.h"

#include "lib/kernels/policy_dispatch.h"
#include "lib/losses/ratio_bounds.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/ppo.cc"
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
  Functor(const PpoParams& params, Semantics semantics)
      : ClippedRatioFunctor<T>(params.clip_low, params.clip_high, semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V advantage = in.extras[1];
    const V zero = hn::Zero(d);
    const auto log_ratio = Difference(d, in.prediction, in.extras[0]);
    const V ratio = ExpOfDifferenceOrInfinity(d, log_ratio);
    const V gain = hn::Mul(ratio, advantage);
    const V bounded = hn::Mul(this->Clamp(d, ratio), advantage);
    // What the bounds are there for: more gain by a ratio further from 1.
    const auto too_high =
        hn::And(hn::Gt(advantage, zero), hn::Gt(ratio, hn::Set(d, this->high)));
    const auto too_low =
        hn::And(hn::Lt(advantage, zero), hn::Lt(ratio, hn::Set(d, this->low)));
    const auto clipped = hn::Or(too_high, too_low);
    FullResult<V> result;
    result.value =
        this->Checked(d, log_ratio.rounded, ratio,
                      hn::Sub(zero, hn::IfThenElse(clipped, bounded, gain)));
    result.slope = hn::IfThenZeroElse(clipped, hn::Sub(zero, gain));
    result.figures[0] = ratio;
    result.figures[1] = ratio;
    result.figures[2] = hn::IfThenElseZero(clipped, hn::Set(d, 1));
    return result;
  }
};

LOSSD_POLICY_TARGETS(PpoParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_POLICY_DISPATCH(PpoParams)

}  // namespace

absl::Status Ppo::Validate(const Params& params) {
  return CheckRatioBounds(params.clip_low, params.clip_high);
}

LossKernel Ppo::Kernel(const Params& params, Semantics semantics) {
  return MakePolicyKernel(params, semantics,
                          BoundedRatioTraits(params.prediction_kind,
                                             params.clip_low, params.clip_high),
                          ExplainRatio);
}

}  // namespace lossd
#endif  // HWY_ONCE
