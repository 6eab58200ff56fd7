#include "lib/losses/hinge.h"

#include "lib/kernels/elementwise_dispatch.h"
#include "lib/losses/sign_labels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/hinge.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"
#include "lib/kernels/sign_labels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : ElementwiseFunctor {
  static constexpr bool kStreamsGradient = true;
  static constexpr size_t kFigures = 1;

  Functor(const HingeParams& params, Semantics semantics)
      : labels(params.label_encoding, semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V label = labels.Signs(d, in.target);
    const V margin = hn::Sub(hn::Set(d, 1), hn::Mul(label, in.prediction));
    const V zero = hn::Zero(d);
    // 0 times the prediction keeps one that is not finite from passing as
    // safely beyond the margin.
    const V value = hn::Add(hn::IfThenElseZero(hn::Ge(margin, zero), margin),
                            hn::Mul(in.prediction, zero));
    FullResult<V> result;
    result.value = labels.Checked(d, in.target, value);
    result.slope = hn::IfThenElseZero(hn::Ge(margin, zero), hn::Neg(label));
    result.figures[0] = RightSide(d, label, in.prediction);
    return result;
  }

  Labels<T> labels;
};

LOSSD_ELEMENTWISE_TARGETS(HingeParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(HingeParams)

}  // namespace

LossKernel Hinge::Kernel(const Params& params, Semantics semantics) {
  return {.traits = {.diagnostics = {{"accuracy"}}},
          .engine = MakeKernel(params, semantics,
                               ExplainLabels(params.label_encoding))};
}

}  // namespace lossd
#endif  // HWY_ONCE
