#include "lib/losses/focal.h"

#include "lib/kernels/elementwise_dispatch.h"
#include "lib/losses/binary_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/focal.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/binary_targets-inl.h"
#include "lib/kernels/elementwise-inl.h"
#include "lib/kernels/power-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Terms : BinaryTargets<T> {
  Terms(const FocalParams& params, Semantics semantics)
      : BinaryTargets<T>(params.label_smoothing, semantics),
        gamma(static_cast<T>(params.gamma)),
        power(params.gamma),
        balanced(params.alpha.has_value()),
        of_yes(static_cast<T>(params.alpha.value_or(1))),
        of_no(static_cast<T>(1 - params.alpha.value_or(1))) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Balance(D d, V yes, V no) const {
    if (!balanced) return hn::Set(d, 1);
    return hn::Add(hn::Mul(hn::Set(d, of_yes), yes),
                   hn::Mul(hn::Set(d, of_no), no));
  }

  // gamma (2 y - 1) v, 0 if gamma is 0 whatever v.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Pull(D d, V yes, V no, V v) const {
    if (gamma == 0) return hn::Zero(d);
    return hn::Mul(hn::Mul(hn::Set(d, gamma), hn::Sub(yes, no)), v);
  }

  T gamma;
  Power<T> power;
  bool balanced;
  T of_yes, of_no;
};

template <class T>
struct LogitsFunctor : Terms<T> {
  using Terms<T>::Terms;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V logit = in.prediction;
    const V yes = this->Smooth(d, in.target);
    const V no = this->SmoothRest(d, in.target);
    const Logistic<V> x(d, logit);
    const V wrong =
        hn::Add(hn::Mul(yes, x.sigmoid_of_minus), hn::Mul(no, x.sigmoid));
    const V entropy =
        hn::Add(hn::Mul(yes, x.softplus_of_minus), hn::Mul(no, x.softplus));
    const V weight = hn::Mul(this->Balance(d, yes, no), this->power(d, wrong));
    V value = hn::Mul(weight, entropy);
    // The difference of a logit with itself is NaN unless it is finite.
    if (this->checked) value = hn::Add(value, hn::Sub(logit, logit));
    const V share = hn::IfThenElseZero(
        hn::Ne(wrong, hn::Zero(d)),
        hn::Div(hn::Mul(x.sigmoid, x.sigmoid_of_minus), wrong));
    const V cross =
        hn::Sub(hn::Mul(no, x.sigmoid), hn::Mul(yes, x.sigmoid_of_minus));
    FullResult<V> result;
    result.value = this->Checked(d, in.target, value);
    result.slope = hn::Mul(
        weight,
        hn::Sub(cross, this->Pull(d, yes, no, hn::Mul(share, entropy))));
    this->Figures(d, in.target, x.sigmoid, result);
    return result;
  }
};

template <class T>
struct ProbabilitiesFunctor : Terms<T> {
  using Terms<T>::Terms;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V q = in.prediction;
    const V rest = hn::Sub(one, q);
    const V yes = this->Smooth(d, in.target);
    const V no = this->SmoothRest(d, in.target);
    const V wrong = hn::Add(hn::Mul(yes, rest), hn::Mul(no, q));
    const V entropy = Surprisal<V>(d, q).Times(d, yes, no);
    const V weight = hn::Mul(this->Balance(d, yes, no), this->power(d, wrong));
    const V value = hn::Mul(weight, entropy);
    const V cross =
        hn::Sub(hn::IfThenElseZero(hn::Ne(no, zero), hn::Div(no, rest)),
                hn::IfThenElseZero(hn::Ne(yes, zero), hn::Div(yes, q)));
    // Both vanish together, and as fast.
    const V ratio =
        hn::IfThenElse(hn::Ne(wrong, zero), hn::Div(entropy, wrong), one);
    FullResult<V> result;
    result.value = this->Checked(
        d, in.target,
        hn::IfThenElse(IsProbability(d, q), value, NotANumber(d)));
    result.slope =
        hn::Mul(weight, hn::Sub(cross, this->Pull(d, yes, no, ratio)));
    this->Figures(d, in.target, q, result);
    return result;
  }
};

// Keras: the cross-entropy is that of clipped probabilities, without a slope
// beyond; what weighs it is not clipped.
template <class T, bool kLogits>
struct KerasFunctor : Terms<T> {
  static constexpr bool kClips = true;

  KerasFunctor(const FocalParams& params, Semantics semantics)
      : Terms<T>(params, semantics), lower(params.gamma - 1) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V one = hn::Set(d, 1);
    const V yes = this->Smooth(d, in.target);
    const V no = this->SmoothRest(d, in.target);
    const V low = hn::Set(d, static_cast<T>(kKerasEpsilon));
    const V high = hn::Sub(one, low);
    const Logistic<V> x(d, in.prediction);
    const V q = kLogits ? x.sigmoid : in.prediction;
    const V rest = kLogits ? x.sigmoid_of_minus : hn::Sub(one, q);
    const auto clipped = hn::Or(hn::Lt(q, low), hn::Gt(q, high));
    Surprisal<V> surprisal(d, hn::Min(high, hn::Max(low, q)));
    if constexpr (kLogits) {
      surprisal.of_yes =
          hn::IfThenElse(clipped, surprisal.of_yes, x.softplus_of_minus);
      surprisal.of_no = hn::IfThenElse(clipped, surprisal.of_no, x.softplus);
    }
    const V wrong = hn::Add(hn::Mul(yes, rest), hn::Mul(no, q));
    const V entropy = surprisal.Times(d, yes, no);
    const V balance = this->Balance(d, yes, no);
    const V focus = this->power(d, wrong);
    // Times q (1 - q), the slope of the sigmoid, if predictions are logits.
    const V chain = kLogits ? hn::Mul(q, rest) : one;
    const V cross = kLogits ? hn::Sub(hn::Mul(no, q), hn::Mul(yes, rest))
                            : hn::Sub(hn::Div(no, rest), hn::Div(yes, q));
    const V pull = this->Pull(
        d, yes, no, hn::Mul(hn::Mul(lower(d, wrong), chain), entropy));
    FullResult<V> result;
    result.value = hn::Mul(hn::Mul(balance, focus), entropy);
    result.slope = hn::Mul(
        balance,
        hn::Sub(hn::IfThenZeroElse(clipped, hn::Mul(focus, cross)), pull));
    result.clipped = hn::IfThenElseZero(clipped, one);
    this->Figures(d, in.target, q, result);
    return result;
  }

  // What Keras keeps probabilities from 0 and 1 by.
  static constexpr double kKerasEpsilon = 1e-7;
  Power<T> lower;
};

template <class T>
ElementwiseSum Run(const FocalParams& params, Semantics semantics,
                   const ElementwiseArgs<T>& args) {
  const bool logits = params.prediction_kind == PredictionKind::kLogits;
  if (semantics == Semantics::kKeras) {
    if (logits) {
      return RunElementwise<T>(KerasFunctor<T, true>(params, semantics), args);
    }
    return RunElementwise<T>(KerasFunctor<T, false>(params, semantics), args);
  }
  if (logits) {
    return RunElementwise<T>(LogitsFunctor<T>(params, semantics), args);
  }
  return RunElementwise<T>(ProbabilitiesFunctor<T>(params, semantics), args);
}

LOSSD_ELEMENTWISE_TARGETS_OF(FocalParams, Run)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(FocalParams)

// torchvision's.
constexpr double kPytorchAlpha = 0.25;

}  // namespace

void Focal::Resolve(Semantics semantics, Params* params) {
  if (semantics == Semantics::kPytorch && !params->alpha) {
    params->alpha = kPytorchAlpha;
  }
  if (semantics == Semantics::kKeras &&
      params->prediction_kind == PredictionKind::kUnspecified) {
    params->prediction_kind = PredictionKind::kProbabilities;
  }
}

LossKernel Focal::Kernel(const Params& params, Semantics semantics) {
  return {
      .traits = {.diagnostics = {{"accuracy"},
                                 {"mean_target_probability"},
                                 {"saturated_fraction"}},
                 // Keras' distance from 1 needs more digits than float32
                 // has, and so does the logarithm of a power.
                 .double_only = semantics == Semantics::kKeras ||
                                !IsShortPower(params.gamma),
                 .logits = params.prediction_kind == PredictionKind::kLogits},
      .engine =
          MakeKernel(params, semantics, ExplainBinary(params.prediction_kind))};
}

}  // namespace lossd
#endif  // HWY_ONCE
