#include "lib/losses/binary_cross_entropy.h"

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/losses/option_checks.h"

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

// Smoothed targets, and the factors of the two terms of value and slope.
template <class T>
struct Terms {
  explicit Terms(const BinaryCrossEntropyParams& params)
      : keep(static_cast<T>(1 - params.label_smoothing)),
        shift(static_cast<T>(params.label_smoothing / 2)),
        pos_weight(static_cast<T>(params.pos_weight.value_or(1))) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Smooth(D d, V target) const {
    return hn::Add(hn::Mul(hn::Set(d, keep), target), hn::Set(d, shift));
  }

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Positive(D d, V target, V column) const {
    return hn::Mul(hn::Mul(hn::Set(d, pos_weight), column), target);
  }

  T keep, shift, pos_weight;
};

// NaN where the target is outside [0, 1], else the value.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V CheckTarget(D d, V target, V value) {
  const auto inside =
      hn::And(hn::Ge(target, hn::Zero(d)), hn::Le(target, hn::Set(d, 1)));
  return hn::IfThenElse(inside, value, NotANumber(d));
}

template <class T>
struct LogitsFunctor {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, V logit, V target,
                                         V column) const {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V label = terms.Smooth(d, target);
    const V positive = terms.Positive(d, label, column);
    // Not 1 - label, which loses digits of a small smoothing.
    const V negative = terms.Smooth(d, hn::Sub(one, target));
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
    // The difference of a logit with itself is NaN unless it is finite.
    const V value = hn::Add(hn::Mul(positive, softplus_of_minus),
                            hn::Mul(negative, softplus));
    const V slope = hn::Sub(hn::Mul(negative, sigmoid),
                            hn::Mul(positive, sigmoid_of_minus));
    return {CheckTarget(d, target, hn::Add(value, hn::Sub(logit, logit))),
            slope};
  }

  Terms<T> terms;
};

template <class T>
struct ProbabilitiesFunctor {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, V probability, V target,
                                         V column) const {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V label = terms.Smooth(d, target);
    const V positive = terms.Positive(d, label, column);
    // Not 1 - label, which loses digits of a small smoothing.
    const V negative = terms.Smooth(d, hn::Sub(one, target));
    const V rest = hn::Sub(one, probability);
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
    const V slope =
        hn::Sub(hn::IfThenElseZero(has_zero, hn::Div(negative, rest)),
                hn::IfThenElseZero(has_one, hn::Div(positive, probability)));
    const auto inside =
        hn::And(hn::Ge(probability, zero), hn::Le(probability, one));
    return {
        CheckTarget(d, target, hn::IfThenElse(inside, value, NotANumber(d))),
        slope};
  }

  Terms<T> terms;
};

template <class T>
ElementwiseSum Run(const BinaryCrossEntropyParams& params,
                   const ElementwiseArgs<T>& args) {
  const Terms<T> terms(params);
  if (params.prediction_kind == PredictionKind::kLogits) {
    return RunElementwise<T>(LogitsFunctor<T>{terms}, args);
  }
  return RunElementwise<T>(ProbabilitiesFunctor<T>{terms}, args);
}

ElementwiseSum RunFloat(const BinaryCrossEntropyParams& params,
                        const ElementwiseArgs<float>& args) {
  return Run<float>(params, args);
}

ElementwiseSum RunDouble(const BinaryCrossEntropyParams& params,
                         const ElementwiseArgs<double>& args) {
  return Run<double>(params, args);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(RunFloat);
HWY_EXPORT(RunDouble);

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

absl::Status BinaryCrossEntropy::Validate(const Params& params) {
  absl::Status status = CheckPredictionKind(params.prediction_kind, false);
  status.Update(
      CheckUnitInterval("options.label_smoothing", params.label_smoothing));
  status.Update(
      CheckPositive("options.pos_weight", params.pos_weight.value_or(1)));
  return status;
}

LossKernel BinaryCrossEntropy::Kernel(const Params& params) {
  return ElementwiseKernel{
      .run_float =
          [params](const ElementwiseArgs<float>& args) {
            return HWY_DYNAMIC_DISPATCH(RunFloat)(params, args);
          },
      .run_double =
          [params](const ElementwiseArgs<double>& args) {
            return HWY_DYNAMIC_DISPATCH(RunDouble)(params, args);
          },
      .explain =
          [params](double prediction, double target) {
            return Explain(params, prediction, target);
          },
      .double_only = !FitsFloat(params.pos_weight.value_or(1)),
      .column_input = ColumnInput{.name = "pos_weight",
                                  .zero_allowed = false,
                                  .excluded_by = params.pos_weight
                                                     ? std::string_view(
                                                           "options.pos_weight")
                                                     : std::string_view()}};
}

}  // namespace lossd
#endif  // HWY_ONCE
