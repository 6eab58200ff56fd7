#include "lib/losses/mean_squared_logarithmic_error.h"

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/mean_squared_logarithmic_error.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// For kClip: numbers below `floor` count as it, without a slope.
template <class T, bool kClip>
struct LogFunctor : ElementwiseFunctor {
  static constexpr bool kClips = kClip;

  explicit LogFunctor(double epsilon) : floor(static_cast<T>(epsilon)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V one = hn::Set(d, 1);
    const V zero = hn::Zero(d);
    V prediction = in.prediction;
    V target = in.target;
    auto below = hn::Lt(prediction, hn::Set(d, floor));
    if constexpr (kClip) {
      prediction = hn::Max(hn::Set(d, floor), prediction);
      target = hn::Max(hn::Set(d, floor), target);
    }
    const V difference = hn::Sub(prediction, target);
    const V lower = hn::Add(one, hn::Min(prediction, target));
    const V ratio = hn::Div(hn::Abs(difference), lower);
    V magnitude = Log1pOfPositive(d, ratio);
    const auto huge = hn::Eq(ratio, Infinity(d));
    if (HWY_UNLIKELY(!hn::AllFalse(d, huge))) {
      // Beyond the largest number 1 + ratio is the ratio.
      const V log_ratio = hn::Sub(LogOfPositive(d, hn::Abs(difference)),
                                  LogOfPositive(d, lower));
      magnitude = hn::IfThenElse(huge, log_ratio, magnitude);
    }
    const V log = hn::CopySignToAbs(magnitude, difference);
    const auto inside =
        hn::And(hn::Gt(lower, zero), hn::Lt(hn::Abs(difference), Infinity(d)));
    FullResult<V> result;
    result.value = hn::IfThenElse(inside, hn::Mul(log, log), NotANumber(d));
    result.slope = hn::Div(hn::Add(log, log), hn::Add(one, prediction));
    if constexpr (kClip) {
      result.slope = hn::IfThenZeroElse(below, result.slope);
      below = hn::Or(below, hn::Lt(in.target, hn::Set(d, floor)));
      result.clipped = hn::IfThenElseZero(below, one);
    }
    return result;
  }

  T floor;
};

template <class T>
ElementwiseSum Run(const MeanSquaredLogarithmicErrorParams& params,
                   Semantics semantics, const ElementwiseArgs<T>& args) {
  if (semantics == Semantics::kKeras) {
    return RunElementwise<T>(LogFunctor<T, true>(params.epsilon), args);
  }
  return RunElementwise<T>(LogFunctor<T, false>(params.epsilon), args);
}

LOSSD_ELEMENTWISE_TARGETS_OF(MeanSquaredLogarithmicErrorParams, Run)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(MeanSquaredLogarithmicErrorParams)

std::optional<Offence> Explain(double prediction, double target,
                               std::span<const double>) {
  const char* allowed = "numbers > -1: the loss is of log(1 + x)";
  if (prediction <= -1) {
    return Offence{Offence::Tensor::kPredictions, 0, NumberText(prediction),
                   allowed};
  }
  if (target <= -1) {
    return Offence{Offence::Tensor::kTargets, 0, NumberText(target), allowed};
  }
  return std::nullopt;
}

}  // namespace

LossKernel MeanSquaredLogarithmicError::Kernel(const Params& params,
                                               Semantics semantics) {
  return {.traits = {.double_only = !FitsFloat(params.epsilon)},
          .engine = MakeKernel(params, semantics, Explain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
