#include "lib/losses/hinge.h"

#include "lib/core/violation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/hinge.cc"
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

  explicit Functor(const HingeParams& params)
      : zero_one(params.label_encoding == LabelEncoding::kZeroOne) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, V prediction, V target,
                                         V /*column*/) const {
    const V one = hn::Set(d, T{1});
    const V label = zero_one ? hn::Sub(hn::Add(target, target), one) : target;
    const V margin = hn::Sub(one, hn::Mul(label, prediction));
    const V zero = hn::Zero(d);
    // 0 times the prediction keeps one that is not finite from passing as
    // safely beyond the margin.
    const V value = hn::Add(hn::IfThenElseZero(hn::Ge(margin, zero), margin),
                            hn::Mul(prediction, zero));
    // Of the target, not of the label, to which tiny targets are rounded.
    const V negative = zero_one ? zero : hn::Neg(one);
    const auto known = hn::Or(hn::Eq(target, one), hn::Eq(target, negative));
    return {hn::IfThenElse(known, value, NotANumber(d)),
            hn::IfThenElseZero(hn::Ge(margin, zero), hn::Neg(label))};
  }

  bool zero_one;
};

ElementwiseSum RunFloat(const HingeParams& params,
                        const ElementwiseArgs<float>& args) {
  return RunElementwise<float>(Functor<float>(params), args);
}

ElementwiseSum RunDouble(const HingeParams& params,
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

std::optional<Offence> Explain(LabelEncoding encoding, double target) {
  const bool zero_one = encoding == LabelEncoding::kZeroOne;
  if (target == 1 || target == (zero_one ? 0 : -1)) return std::nullopt;
  return Offence{Offence::Tensor::kTargets, 0, NumberText(target),
                 zero_one ? "0 or 1"
                          : "-1 or +1; for 0 and 1 set the option "
                            "label_encoding to ZERO_ONE"};
}

}  // namespace

absl::Status Hinge::Validate(const Params& /*params*/) {
  return absl::OkStatus();
}

LossKernel Hinge::Kernel(const Params& params) {
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
          [params](double, double target) {
            return Explain(params.label_encoding, target);
          },
      .column_input = std::nullopt};
}

}  // namespace lossd
#endif  // HWY_ONCE
