#include "lib/losses/soft_margin.h"

#include "lib/kernels/elementwise_dispatch.h"
#include "lib/losses/sign_labels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/soft_margin.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/binary_targets-inl.h"
#include "lib/kernels/elementwise-inl.h"
#include "lib/kernels/sign_labels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : ElementwiseFunctor {
  static constexpr size_t kFigures = 1;

  Functor(const SoftMarginParams& params, Semantics semantics)
      : labels(params.label_encoding, semantics, /*is_keras=*/false) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V label = labels.Signs(d, in.target);
    const Logistic<V> wrong(d, hn::Neg(hn::Mul(label, in.prediction)));
    V value = wrong.softplus;
    // The difference of a score with itself is NaN unless it is finite.
    if (labels.checked) {
      value = hn::Add(value, hn::Sub(in.prediction, in.prediction));
    }
    FullResult<V> result;
    result.value = labels.Checked(d, in.target, value);
    result.slope = hn::Neg(hn::Mul(label, wrong.sigmoid));
    result.figures[0] = RightSide(d, label, in.prediction);
    return result;
  }

  Labels<T> labels;
};

LOSSD_ELEMENTWISE_TARGETS(SoftMarginParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(SoftMarginParams)

}  // namespace

LossKernel SoftMargin::Kernel(const Params& params, Semantics semantics) {
  return {.traits = {.diagnostics = {{"accuracy"}}},
          .engine = MakeKernel(params, semantics,
                               ExplainLabels(params.label_encoding))};
}

}  // namespace lossd
#endif  // HWY_ONCE
