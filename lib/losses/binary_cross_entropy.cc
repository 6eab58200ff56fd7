#include "lib/losses/binary_cross_entropy.h"

#include "lib/core/dtype.h"
#include "lib/kernels/elementwise_dispatch.h"
#include "lib/losses/binary_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/binary_cross_entropy.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/binary_targets-inl.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// Smoothed targets with the weight of positive ones: the factors of the two
// terms of value and slope.
template <class T>
struct Terms : BinaryTargets<T> {
  Terms(const BinaryCrossEntropyParams& params, Semantics semantics)
      : BinaryTargets<T>(params.label_smoothing, semantics),
        pos_weight(static_cast<T>(params.pos_weight.value_or(1))),
        epsilon(static_cast<T>(params.epsilon)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Positive(D d, const Operands<V>& in) const {
    return hn::Mul(hn::Mul(hn::Set(d, pos_weight), in.column),
                   this->Smooth(d, in.target));
  }

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Negative(D d, const Operands<V>& in) const {
    return this->SmoothRest(d, in.target);
  }

  T pos_weight, epsilon;
};

template <class T>
struct LogitsFunctor : Terms<T> {
  using Terms<T>::Terms;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V logit = in.prediction;
    const V positive = this->Positive(d, in);
    const V negative = this->Negative(d, in);
    const Logistic<V> x(d, logit);
    V value = hn::Add(hn::Mul(positive, x.softplus_of_minus),
                      hn::Mul(negative, x.softplus));
    // The difference of a logit with itself is NaN unless it is finite.
    if (this->checked) value = hn::Add(value, hn::Sub(logit, logit));
    FullResult<V> result;
    result.value = this->Checked(d, in.target, value);
    result.slope = hn::Sub(hn::Mul(negative, x.sigmoid),
                           hn::Mul(positive, x.sigmoid_of_minus));
    this->Figures(d, in.target, x.sigmoid, result);
    return result;
  }
};

template <class T>
struct ProbabilitiesFunctor : Terms<T> {
  using Terms<T>::Terms;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V probability = in.prediction;
    const V zero = hn::Zero(d);
    const V positive = this->Positive(d, in);
    const V negative = this->Negative(d, in);
    const V rest = hn::Sub(hn::Set(d, 1), probability);
    // A term whose factor is 0 is 0 even where its logarithm is not finite;
    // with any other factor that makes the value infinite.
    const V value = Surprisal<V>(d, probability).Times(d, positive, negative);
    const auto has_one = hn::Gt(positive, zero);
    const auto has_zero = hn::Gt(negative, zero);
    FullResult<V> result;
    result.value = this->Checked(
        d, in.target,
        hn::IfThenElse(IsProbability(d, probability), value, NotANumber(d)));
    result.slope =
        hn::Sub(hn::IfThenElseZero(has_zero, hn::Div(negative, rest)),
                hn::IfThenElseZero(has_one, hn::Div(positive, probability)));
    this->Figures(d, in.target, probability, result);
    return result;
  }
};

// torch.nn.BCELoss: logarithms are at least -100, denominators at least 1e-12
// (as a float, in both dtypes).
template <class T>
struct FlooredFunctor : Terms<T> {
  using Terms<T>::Terms;
  static constexpr bool kClips = true;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V probability = in.prediction;
    const V positive = this->Positive(d, in);
    const V negative = this->Negative(d, in);
    const V rest = hn::Sub(hn::Set(d, 1), probability);
    const V floor = hn::Set(d, T{-100});
    const V log = LogOrMinusInfinity(d, probability);
    const V log_rest = Log1pOfMinus(d, probability);
    const V size =
        hn::Max(hn::Mul(probability, rest), hn::Set(d, static_cast<T>(1e-12f)));
    FullResult<V> result;
    result.value =
        hn::Neg(hn::Add(hn::Mul(positive, hn::Max(log, floor)),
                        hn::Mul(negative, hn::Max(log_rest, floor))));
    result.value = hn::IfThenElse(IsProbability(d, probability), result.value,
                                  NotANumber(d));
    result.slope = hn::Div(
        hn::Sub(hn::Mul(negative, probability), hn::Mul(positive, rest)), size);
    result.clipped = hn::IfThenElseZero(
        hn::Or(hn::Lt(log, floor), hn::Lt(log_rest, floor)), hn::Set(d, 1));
    this->Figures(d, in.target, probability, result);
    return result;
  }
};

// Keras: probabilities are kept epsilon away from 0 and 1, without a slope
// beyond.
template <class T>
struct ClippedFunctor : Terms<T> {
  using Terms<T>::Terms;
  static constexpr bool kClips = true;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V one = hn::Set(d, 1);
    const V low = hn::Set(d, this->epsilon);
    const V high = hn::Sub(one, low);
    const V probability = hn::Min(high, hn::Max(low, in.prediction));
    const V rest = hn::Sub(one, probability);
    const V positive = this->Positive(d, in);
    const V negative = this->Negative(d, in);
    const auto clipped =
        hn::Or(hn::Lt(in.prediction, low), hn::Gt(in.prediction, high));
    FullResult<V> result;
    result.value =
        hn::Neg(hn::Add(hn::Mul(positive, LogOfPositive(d, probability)),
                        hn::Mul(negative, Log1pOfMinus(d, probability))));
    result.slope = hn::IfThenZeroElse(
        clipped,
        hn::Sub(hn::Div(negative, rest), hn::Div(positive, probability)));
    result.clipped = hn::IfThenElseZero(clipped, one);
    this->Figures(d, in.target, in.prediction, result);
    return result;
  }
};

template <class T>
ElementwiseSum Run(const BinaryCrossEntropyParams& params, Semantics semantics,
                   const ElementwiseArgs<T>& args) {
  if (params.prediction_kind == PredictionKind::kLogits) {
    return RunElementwise<T>(LogitsFunctor<T>(params, semantics), args);
  }
  switch (semantics) {
    case Semantics::kStrict:
      break;
    case Semantics::kPytorch:
      return RunElementwise<T>(FlooredFunctor<T>(params, semantics), args);
    case Semantics::kKeras:
      return RunElementwise<T>(ClippedFunctor<T>(params, semantics), args);
  }
  return RunElementwise<T>(ProbabilitiesFunctor<T>(params, semantics), args);
}

LOSSD_ELEMENTWISE_TARGETS_OF(BinaryCrossEntropyParams, Run)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(BinaryCrossEntropyParams)

}  // namespace

void BinaryCrossEntropy::Resolve(Semantics semantics, Params* params) {
  if (semantics == Semantics::kKeras &&
      params->prediction_kind == PredictionKind::kUnspecified) {
    params->prediction_kind = PredictionKind::kProbabilities;
  }
}

LossKernel BinaryCrossEntropy::Kernel(const Params& params,
                                      Semantics semantics) {
  const bool logits = params.prediction_kind == PredictionKind::kLogits;
  // Keras' distance from 1 needs more digits than float32 has.
  const bool clips = semantics == Semantics::kKeras && !logits;
  ColumnInput pos_weight{.name = "pos_weight"};
  if (params.pos_weight) pos_weight.excluded_by = "options.pos_weight";
  return {.traits = {.column_input = pos_weight,
                     .diagnostics = {{"accuracy"},
                                     {"mean_target_probability"},
                                     {"saturated_fraction"}},
                     .double_only =
                         clips || !FitsFloat(params.pos_weight.value_or(1)),
                     .logits = logits},
          .engine = MakeKernel(params, semantics,
                               ExplainBinary(params.prediction_kind))};
}

}  // namespace lossd
#endif  // HWY_ONCE
