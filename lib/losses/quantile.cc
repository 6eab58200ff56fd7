#include "lib/losses/quantile.h"

#include "lib/core/dtype.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/quantile.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// kColumn: every column has a quantile of its own.
template <class T, bool kColumn>
struct Functor : ElementwiseFunctor {
  explicit Functor(double quantile)
      : low(static_cast<T>(quantile)), high(static_cast<T>(1 - quantile)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V zero = hn::Zero(d);
    const V tau = kColumn ? in.column : hn::Set(d, low);
    const V rest =
        kColumn ? hn::Sub(hn::Set(d, 1), in.column) : hn::Set(d, high);
    const V difference = hn::Sub(in.prediction, in.target);
    const auto below = hn::Lt(difference, zero);
    const V factor = hn::IfThenElse(below, tau, rest);
    return {hn::Mul(factor, hn::Abs(difference)),
            hn::IfThenElseZero(hn::Ne(difference, zero),
                               hn::CopySignToAbs(factor, difference))};
  }

  T low, high;
};

template <class T>
ElementwiseSum Run(const QuantileParams& params, Semantics,
                   const ElementwiseArgs<T>& args) {
  const double quantile = params.quantile.value_or(0.5);
  if (args.column != nullptr) {
    return RunElementwise<T>(Functor<T, true>(quantile), args);
  }
  return RunElementwise<T>(Functor<T, false>(quantile), args);
}

LOSSD_ELEMENTWISE_TARGETS_OF(QuantileParams, Run)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(QuantileParams)

}  // namespace

LossKernel Quantile::Kernel(const Params& params, Semantics semantics) {
  ColumnInput quantiles{.name = "quantiles", .below = 1, .exact = true};
  if (params.quantile) quantiles.excluded_by = "options.quantile";
  return {.traits = {.column_input = quantiles,
                     .double_only = !FitsFloat(params.quantile.value_or(0.5))},
          .engine = MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
