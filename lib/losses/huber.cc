#include "lib/losses/huber.h"

#include "lib/core/dtype.h"
#include "lib/losses/option_checks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/huber.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor {
  static constexpr bool kStreamsGradient = true;

  explicit Functor(const HuberParams& params)
      : delta(static_cast<T>(params.delta)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, V prediction, V target,
                                         V /*column*/) const {
    const V limit = hn::Set(d, delta);
    const V difference = hn::Sub(prediction, target);
    const V slope = hn::Min(hn::Max(difference, hn::Neg(limit)), limit);
    // slope * (r - slope / 2) is r^2 / 2 inside, delta * (|r| - delta / 2)
    // outside, and not finite when r is not.
    const V inner = hn::Sub(difference, hn::Mul(hn::Set(d, T{0.5}), slope));
    return {hn::Mul(slope, inner), slope};
  }

  T delta;
};

ElementwiseSum RunFloat(const HuberParams& params,
                        const ElementwiseArgs<float>& args) {
  return RunElementwise<float>(Functor<float>(params), args);
}

ElementwiseSum RunDouble(const HuberParams& params,
                         const ElementwiseArgs<double>& args) {
  return RunElementwise<double>(Functor<double>(params), args);
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

absl::Status Huber::Validate(const Params& params) {
  return CheckPositive("options.delta", params.delta);
}

LossKernel Huber::Kernel(const Params& params) {
  return ElementwiseKernel{
      .run_float =
          [params](const ElementwiseArgs<float>& args) {
            return HWY_DYNAMIC_DISPATCH(RunFloat)(params, args);
          },
      .run_double =
          [params](const ElementwiseArgs<double>& args) {
            return HWY_DYNAMIC_DISPATCH(RunDouble)(params, args);
          },
      .explain = [](double, double) { return std::nullopt; },
      .double_only = !FitsFloat(params.delta),
      .column_input = std::nullopt};
}

}  // namespace lossd
#endif  // HWY_ONCE
