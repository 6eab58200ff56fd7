#include "lib/losses/binary_cross_entropy.h"

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/binary_cross_entropy.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// Smoothed targets, the factors of the two terms of value and slope, and what
// all kinds of predictions share.
template <class T>
struct Terms : ElementwiseFunctor {
  static constexpr size_t kFigures = 3;

  Terms(const BinaryCrossEntropyParams& params, Semantics semantics)
      : keep(static_cast<T>(1 - params.label_smoothing)),
        shift(static_cast<T>(params.label_smoothing / 2)),
        pos_weight(static_cast<T>(params.pos_weight.value_or(1))),
        epsilon(static_cast<T>(params.epsilon)),
        checked(semantics == Semantics::kStrict) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Smooth(D d, V target) const {
    return hn::Add(hn::Mul(hn::Set(d, keep), target), hn::Set(d, shift));
  }

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Positive(D d, const Operands<V>& in) const {
    return hn::Mul(hn::Mul(hn::Set(d, pos_weight), in.column),
                   Smooth(d, in.target));
  }

  // Not 1 - label, which loses digits of a small smoothing.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Negative(D d, const Operands<V>& in) const {
    return Smooth(d, hn::Sub(hn::Set(d, 1), in.target));
  }

  // NaN where the target is outside [0, 1], else the value.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Checked(D d, V target, V value) const {
    if (!checked) return value;
    return hn::IfThenElse(IsProbability(d, target), value, NotANumber(d));
  }

  // The right side of 1/2, the probability of the target, and whether the
  // probability is rounded to 0 or 1 in float32.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE void Figures(D d, V target, V probability,
                          FullResult<V>& result) const {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V half = hn::Set(d, T{0.5});
    const auto yes = hn::Gt(target, half);
    const auto said = hn::Gt(probability, half);
    const auto wrong =
        hn::Xor(hn::VecFromMask(d, yes), hn::VecFromMask(d, said));
    result.figures[0] = hn::IfThenZeroElse(hn::MaskFromVec(wrong), one);
    const V rest = hn::Sub(one, probability);
    result.figures[1] = hn::Add(hn::Mul(target, probability),
                                hn::Mul(hn::Sub(one, target), rest));
    // 1 - q of a float is 2^-24 or more, or 0.
    const V tiny = hn::Set(d, T{0x1p-25});
    result.figures[2] = hn::IfThenElseZero(
        hn::Or(hn::Le(probability, zero), hn::Le(rest, tiny)), one);
  }

  T keep, shift, pos_weight, epsilon;
  bool checked;
};

template <class T>
struct LogitsFunctor : Terms<T> {
  using Terms<T>::Terms;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V logit = in.prediction;
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V positive = this->Positive(d, in);
    const V negative = this->Negative(d, in);
    // log1p(e^-|x|) is what softplus of x and of -x have in common, and
    // e^-|x| / (1 + e^-|x|) the smaller of sigmoid of x and of -x.
    const V exp = ExpUpToOne(d, hn::Neg(hn::Abs(logit)));
    const V log = Log1pOfUnit(d, exp);
    const V larger = hn::Div(one, hn::Add(one, exp));
    const V smaller = hn::Mul(exp, larger);
    const auto above = hn::Ge(logit, zero);
    const V softplus = hn::Add(hn::Max(logit, zero), log);
    const V softplus_of_minus = hn::Add(hn::Max(hn::Neg(logit), zero), log);
    const V sigmoid = hn::IfThenElse(above, larger, smaller);
    const V sigmoid_of_minus = hn::IfThenElse(above, smaller, larger);
    V value = hn::Add(hn::Mul(positive, softplus_of_minus),
                      hn::Mul(negative, softplus));
    // The difference of a logit with itself is NaN unless it is finite.
    if (this->checked) value = hn::Add(value, hn::Sub(logit, logit));
    FullResult<V> result;
    result.value = this->Checked(d, in.target, value);
    result.slope = hn::Sub(hn::Mul(negative, sigmoid),
                           hn::Mul(positive, sigmoid_of_minus));
    this->Figures(d, in.target, sigmoid, result);
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
    // -log(q), and -log(1 - q) as log1p(q / (1 - q)), which keeps the digits
    // of a small q. A term whose factor is 0 is 0 even where its logarithm is
    // not finite; with any other factor that makes the value infinite.
    const V of_one = hn::Neg(LogOfPositive(d, probability));
    const V of_zero = Log1pOfPositive(d, hn::Div(probability, rest));
    const auto has_one = hn::Gt(positive, zero);
    const auto has_zero = hn::Gt(negative, zero);
    const V inf = Infinity(d);
    const V term_one = hn::IfThenElse(hn::Gt(probability, zero), of_one, inf);
    const V term_zero = hn::IfThenElse(hn::Gt(rest, zero), of_zero, inf);
    const V value =
        hn::Add(hn::IfThenElseZero(has_one, hn::Mul(positive, term_one)),
                hn::IfThenElseZero(has_zero, hn::Mul(negative, term_zero)));
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

std::optional<Offence> Explain(const BinaryCrossEntropyParams& params,
                               double prediction, double target) {
  const bool probabilities =
      params.prediction_kind == PredictionKind::kProbabilities;
  if (probabilities && !(prediction >= 0 && prediction <= 1)) {
    return Offence{Offence::Tensor::kPredictions, 0, NumberText(prediction),
                   "probabilities in [0, 1]; these look like logits: set "
                   "prediction_kind to LOGITS"};
  }
  if (!(target >= 0 && target <= 1)) {
    return Offence{Offence::Tensor::kTargets, 0, NumberText(target),
                   "in [0, 1]"};
  }
  if (probabilities && (prediction == 0 || prediction == 1)) {
    return Offence{
        Offence::Tensor::kPredictions, 0,
        NumberText(prediction) + " where the target is " + NumberText(target),
        "probabilities whose loss is finite; logits keep what "
        "rounding to 0 or 1 loses"};
  }
  return std::nullopt;
}

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
                               [params](double prediction, double target,
                                        std::span<const double>) {
                                 return Explain(params, prediction, target);
                               })};
}

}  // namespace lossd
#endif  // HWY_ONCE
