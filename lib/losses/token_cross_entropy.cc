#include "lib/losses/token_cross_entropy.h"

#include "lib/kernels/policy_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/token_cross_entropy.cc"
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

  Functor(const TokenCrossEntropyParams&, Semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V weight = in.extras[0];
    const V zero = hn::Zero(d);
    const auto impossible = hn::Eq(in.prediction, hn::Neg(Infinity(d)));
    const auto free = hn::And(impossible, hn::Eq(weight, zero));
    const V value = MinusProduct(d, weight, in.prediction);
    return {hn::IfThenZeroElse(free, value), hn::Sub(zero, weight)};
  }
};

LOSSD_POLICY_TARGETS(TokenCrossEntropyParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_POLICY_DISPATCH(TokenCrossEntropyParams)

}  // namespace

LossKernel TokenCrossEntropy::Kernel(const Params& params,
                                     Semantics semantics) {
  return MakePolicyKernel(params, semantics,
                          TokenTraits(params.prediction_kind, {"weights"}),
                          NothingToExplain);
}

}  // namespace lossd
#endif  // HWY_ONCE
