#include "lib/losses/dro.h"

#include <utility>

#include "lib/core/dtype.h"
#include "lib/kernels/policy_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/dro.cc"
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
  Functor(const DroParams& params, Semantics semantics)
      : RatioFunctor(semantics), beta(static_cast<T>(*params.beta)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V advantage = in.extras[1];
    const auto log_ratio = Difference(d, in.prediction, in.extras[0]);
    const V pull = hn::Mul(hn::Set(d, beta), log_ratio.rounded);
    const V penalty =
        hn::Mul(hn::Set(d, T{0.5}), hn::Mul(pull, log_ratio.rounded));
    FullResult<V> result;
    result.value = hn::Sub(penalty, hn::Mul(advantage, in.prediction));
    result.slope = hn::Sub(pull, advantage);
    result.figures[0] = ExpOfDifferenceOrInfinity(d, log_ratio);
    result.figures[1] = result.figures[0];
    return result;
  }

  T beta;
};

LOSSD_POLICY_TARGETS(DroParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_POLICY_DISPATCH(DroParams)

}  // namespace

absl::Status Dro::Validate(const Params& params) {
  if (params.beta) return absl::OkStatus();
  return RefuseOption("beta", "nothing", "finite and > 0");
}

LossKernel Dro::Kernel(const Params& params, Semantics semantics) {
  LossTraits traits = TokenTraits(params.prediction_kind,
                                  {"old_log_probabilities", "advantages"});
  traits.diagnostics = {{"ratio_max", DiagnosticInfo::Combine::kMax},
                        {"ratio_mean"}};
  // The logarithm of a float32 softmax has no more digits than its
  // exponentials, too few for a difference of near-equal ones.
  traits.double_only = params.prediction_kind == PredictionKind::kLogits ||
                       !FitsFloat(*params.beta);
  return MakePolicyKernel(params, semantics, std::move(traits),
                          NothingToExplain);
}

}  // namespace lossd
#endif  // HWY_ONCE
