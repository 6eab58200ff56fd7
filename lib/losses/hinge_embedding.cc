#include "lib/losses/hinge_embedding.h"

#include "lib/core/dtype.h"
#include "lib/kernels/elementwise_dispatch.h"
#include "lib/losses/sign_labels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/hinge_embedding.cc"
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
  Functor(const HingeEmbeddingParams& params, Semantics semantics)
      : labels(LabelEncoding::kPlusMinusOne, semantics, /*is_keras=*/false),
        margin(params.margin) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V distance = in.prediction;
    // Two terms, so that a target that is neither has both, as in PyTorch.
    const auto alike = hn::Ne(in.target, hn::Neg(one));
    const V missing = margin.Plus(d, hn::Neg(distance));
    const auto pushed = hn::And(hn::Ne(in.target, one), hn::Ge(missing, zero));
    V value = hn::Add(hn::IfThenElseZero(alike, distance),
                      hn::IfThenElseZero(pushed, missing));
    // 0 times the distance keeps one that is not finite from passing as safely
    // beyond the margin.
    if (labels.checked) value = hn::Add(value, hn::Mul(distance, zero));
    return {labels.Checked(d, in.target, value),
            hn::Sub(hn::IfThenElseZero(alike, one),
                    hn::IfThenElseZero(pushed, one))};
  }

  Labels<T> labels;
  Split<T> margin;
};

LOSSD_ELEMENTWISE_TARGETS(HingeEmbeddingParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(HingeEmbeddingParams)

}  // namespace

LossKernel HingeEmbedding::Kernel(const Params& params, Semantics semantics) {
  return {.traits = {.double_only = !FitsFloat(params.margin)},
          .engine = MakeKernel(params, semantics, ExplainSigns())};
}

}  // namespace lossd
#endif  // HWY_ONCE
