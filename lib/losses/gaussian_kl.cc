#include "lib/losses/gaussian_kl.h"

#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/gaussian_kl.cc"
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
  static constexpr size_t kExtras = 3;
  static constexpr size_t kExtraSlopes = 1;

  Functor(const GaussianKlParams&, Semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V zero = hn::Zero(d);
    const V half = hn::Set(d, T{0.5});
    const V log_variance = in.extras[0];
    const V prior_log_variance = in.extras[2];
    const V distance = hn::Sub(in.prediction, in.extras[1]);
    // A mean that is right stays so however narrow the prior.
    const V pull = hn::IfThenZeroElse(
        hn::Eq(distance, zero),
        hn::Mul(distance, ExpOrInfinity(d, hn::Neg(prior_log_variance))));
    // The difference and what rounding it lost, of which the exponential would
    // make |w| times as much.
    const V ratio = hn::Sub(log_variance, prior_log_variance);
    const V part = hn::Sub(ratio, log_variance);
    const V rounded = hn::Sub(hn::Sub(log_variance, hn::Sub(ratio, part)),
                              hn::Add(prior_log_variance, part));
    const V lost =
        hn::IfThenElseZero(hn::Lt(hn::Abs(ratio), Infinity(d)), rounded);
    const auto [expm1, above] = Expm1AndMinusX(d, ratio);
    const V slope = hn::MulAdd(hn::Add(expm1, hn::Set(d, 1)), lost, expm1);
    const V spread = hn::MulAdd(expm1, lost, above);
    FullResult<V> result;
    result.value = hn::Mul(half, hn::MulAdd(distance, pull, spread));
    result.slope = pull;
    result.extra_slopes[0] = hn::Mul(half, slope);
    return result;
  }
};

LOSSD_ELEMENTWISE_TARGETS(GaussianKlParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(GaussianKlParams)

}  // namespace

LossKernel GaussianKl::Kernel(const Params& params, Semantics semantics) {
  return {
      .traits = {.targets = TargetsRole::kNone,
                 .extras = {{.name = "log_variance", .differentiable = true},
                            {.name = "prior_mean", .required = false},
                            {.name = "prior_log_variance", .required = false}},
                 .sum_of_elements = true},
      .engine = MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
