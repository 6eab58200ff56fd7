#include "lib/losses/mean_squared_logarithmic_error.h"

#include "lib/core/violation.h"

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

struct Functor {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, V prediction, V target,
                                         V /*column*/) const {
    const V one = hn::Set(d, 1);
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
    const V slope = hn::Div(hn::Add(log, log), hn::Add(one, prediction));
    const auto inside = hn::And(hn::Gt(lower, hn::Zero(d)),
                                hn::Lt(hn::Abs(difference), Infinity(d)));
    return {hn::IfThenElse(inside, hn::Mul(log, log), NotANumber(d)), slope};
  }
};

ElementwiseSum RunFloat(const ElementwiseArgs<float>& args) {
  return RunElementwise<float>(Functor{}, args);
}

ElementwiseSum RunDouble(const ElementwiseArgs<double>& args) {
  return RunElementwise<double>(Functor{}, args);
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

std::optional<Offence> Explain(double prediction, double target) {
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

absl::Status MeanSquaredLogarithmicError::Validate(const Params& /*params*/) {
  return absl::OkStatus();
}

LossKernel MeanSquaredLogarithmicError::Kernel(const Params& /*params*/) {
  return ElementwiseKernel{.run_float =
                               [](const ElementwiseArgs<float>& args) {
                                 return HWY_DYNAMIC_DISPATCH(RunFloat)(args);
                               },
                           .run_double =
                               [](const ElementwiseArgs<double>& args) {
                                 return HWY_DYNAMIC_DISPATCH(RunDouble)(args);
                               },
                           .explain = Explain,
                           .column_input = std::nullopt};
}

}  // namespace lossd
#endif  // HWY_ONCE
