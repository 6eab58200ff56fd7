#include "lib/losses/importance_sampling.h"

#include <utility>

#include "lib/kernels/policy_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/importance_sampling.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/policy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : RatioFunctor {
  Functor(const ImportanceSamplingParams&, Semantics semantics)
      : RatioFunctor(semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const auto log_ratio = Difference(d, in.prediction, in.extras[0]);
    const V ratio = ExpOfDifferenceOrInfinity(d, log_ratio);
    FullResult<V> result;
    result.slope = MinusProduct(d, ratio, in.extras[1]);
    result.value = Checked(d, log_ratio.rounded, ratio, result.slope);
    result.figures[0] = ratio;
    result.figures[1] = ratio;
    return result;
  }
};

LOSSD_POLICY_TARGETS(ImportanceSamplingParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_POLICY_DISPATCH(ImportanceSamplingParams)

}  // namespace

LossKernel ImportanceSampling::Kernel(const Params& params,
                                      Semantics semantics) {
  LossTraits traits = TokenTraits(params.prediction_kind,
                                  {"old_log_probabilities", "advantages"});
  traits.diagnostics = {{"ratio_max", DiagnosticInfo::Combine::kMax},
                        {"ratio_mean"}};
  return MakePolicyKernel(params, semantics, std::move(traits), ExplainRatio);
}

}  // namespace lossd
#endif  // HWY_ONCE
