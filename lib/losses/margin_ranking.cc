#include "lib/losses/margin_ranking.h"

#include "lib/core/dtype.h"
#include "lib/kernels/elementwise_dispatch.h"
#include "lib/losses/sign_labels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/margin_ranking.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"
#include "lib/kernels/margins-inl.h"
#include "lib/kernels/sign_labels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : ElementwiseFunctor {
  static constexpr size_t kExtras = 1;
  static constexpr size_t kExtraSlopes = 1;

  Functor(const MarginRankingParams& params, Semantics semantics)
      : labels(LabelEncoding::kPlusMinusOne, semantics, /*is_keras=*/false),
        margin(params.margin) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V zero = hn::Zero(d);
    const V label = in.target;
    const V other = in.extras[0];
    const auto [ahead, lost] = Difference(d, in.prediction, other);
    const V missing =
        hn::Add(hn::Sub(hn::Set(d, margin.high), hn::Mul(label, ahead)),
                hn::Sub(hn::Set(d, margin.low), hn::Mul(label, lost)));
    const auto pushed = hn::Ge(missing, zero);
    V value = hn::IfThenElseZero(pushed, missing);
    // 0 times the difference keeps one that is not finite from passing as
    // safely beyond the margin.
    if (labels.checked) value = hn::Add(value, hn::Mul(ahead, zero));
    FullResult<V> result;
    result.value = labels.Checked(d, label, value);
    result.slope = hn::IfThenElseZero(pushed, hn::Neg(label));
    result.extra_slopes[0] = hn::IfThenElseZero(pushed, label);
    return result;
  }

  Labels<T> labels;
  Split<T> margin;
};

LOSSD_ELEMENTWISE_TARGETS(MarginRankingParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(MarginRankingParams)

}  // namespace

LossKernel MarginRanking::Kernel(const Params& params, Semantics semantics) {
  return {.traits = {.extras = {{.name = "other_predictions",
                                 .differentiable = true}},
                     .double_only = !FitsFloat(params.margin)},
          .engine = MakeKernel(params, semantics, ExplainSigns())};
}

}  // namespace lossd
#endif  // HWY_ONCE
