#include "lib/losses/k3_divergence.h"

#include <utility>

#include "lib/kernels/policy_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/k3_divergence.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/policy-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : ElementwiseFunctor {
  static constexpr size_t kExtras = 1;
  static constexpr size_t kFigures = 1;

  Functor(const K3DivergenceParams&, Semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const auto difference = Difference(d, in.extras[0], in.prediction);
    const auto [expm1, above] = Expm1AndMinusX(d, difference.rounded);
    // What rounding the difference lost, of which the exponential makes |d|
    // times as much.
    const V lost = difference.lost;
    const V slope = hn::MulAdd(hn::Add(expm1, hn::Set(d, 1)), lost, expm1);
    FullResult<V> result;
    result.value = hn::MulAdd(expm1, lost, above);
    result.slope = hn::Sub(hn::Zero(d), slope);
    result.figures[0] = result.value;
    return result;
  }
};

LOSSD_POLICY_TARGETS(K3DivergenceParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_POLICY_DISPATCH(K3DivergenceParams)

}  // namespace

LossKernel K3Divergence::Kernel(const Params& params, Semantics semantics) {
  LossTraits traits =
      TokenTraits(params.prediction_kind, {"reference_log_probabilities"});
  traits.diagnostics = {{"kl_mean"}};
  // The logarithm of a float32 softmax has no more digits than its
  // exponentials, too few for a difference of near-equal ones.
  traits.double_only = params.prediction_kind == PredictionKind::kLogits;
  return MakePolicyKernel(params, semantics, std::move(traits),
                          NothingToExplain);
}

}  // namespace lossd
#endif  // HWY_ONCE
