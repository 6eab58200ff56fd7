#include "lib/losses/mean_squared_error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/mean_squared_error.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

struct Functor {
  static constexpr bool kStreamsGradient = true;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D /*d*/, V prediction, V target,
                                         V /*column*/) const {
    const V difference = hn::Sub(prediction, target);
    return {hn::Mul(difference, difference), hn::Add(difference, difference)};
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

}  // namespace

absl::Status MeanSquaredError::Validate(const Params& /*params*/) {
  return absl::OkStatus();
}

LossKernel MeanSquaredError::Kernel(const Params& /*params*/) {
  return ElementwiseKernel{
      .run_float =
          [](const ElementwiseArgs<float>& args) {
            return HWY_DYNAMIC_DISPATCH(RunFloat)(args);
          },
      .run_double =
          [](const ElementwiseArgs<double>& args) {
            return HWY_DYNAMIC_DISPATCH(RunDouble)(args);
          },
      .explain = [](double, double) { return std::nullopt; },
      .column_input = std::nullopt};
}

}  // namespace lossd
#endif  // HWY_ONCE
