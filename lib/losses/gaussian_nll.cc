#include "lib/losses/gaussian_nll.h"

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/gaussian_nll.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// log(2 pi) / 2 or 0.
template <class T>
T Constant(const GaussianNllParams& params) {
  return params.full ? static_cast<T>(0.918938533204672741780) : 0;
}

template <class T>
struct VarianceFunctor : ElementwiseFunctor {
  static constexpr size_t kExtras = 1;
  static constexpr size_t kExtraSlopes = 1;

  VarianceFunctor(const GaussianNllParams& params, Semantics semantics)
      : constant(Constant<T>(params)),
        epsilon(static_cast<T>(params.epsilon)),
        checked(semantics == Semantics::kStrict) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V half = hn::Set(d, T{0.5});
    const V difference = hn::Sub(in.prediction, in.target);
    const V variance = hn::Max(in.extras[0], hn::Set(d, epsilon));
    const V ratio = hn::Div(difference, variance);
    const V inverse = hn::Div(hn::Set(d, 1), variance);
    const auto infinite = hn::Eq(variance, Infinity(d));
    const V log =
        hn::IfThenElse(infinite, variance, LogOfPositive(d, variance));
    const V terms = hn::Add(log, hn::Mul(difference, ratio));
    FullResult<V> result;
    result.value = hn::Add(hn::Mul(half, terms), hn::Set(d, constant));
    result.slope = ratio;
    result.extra_slopes[0] =
        hn::Mul(half, hn::Sub(inverse, hn::Mul(ratio, ratio)));
    if (checked) {
      // Infinite ones make the value so.
      result.value = hn::IfThenElse(hn::Ge(in.extras[0], hn::Zero(d)),
                                    result.value, NotANumber(d));
    }
    return result;
  }

  T constant, epsilon;
  bool checked;
};

template <class T>
struct LogVarianceFunctor : ElementwiseFunctor {
  // The first is variance, which is not given.
  static constexpr size_t kExtras = 2;
  static constexpr size_t kExtraSlopes = 2;

  explicit LogVarianceFunctor(const GaussianNllParams& params)
      : constant(Constant<T>(params)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V half = hn::Set(d, T{0.5});
    const V log = in.extras[1];
    const V difference = hn::Sub(in.prediction, in.target);
    // A mean that is right stays so however small the variance.
    const V ratio =
        hn::IfThenZeroElse(hn::Eq(difference, hn::Zero(d)),
                           hn::Mul(difference, ExpOrInfinity(d, hn::Neg(log))));
    const V square = hn::Mul(difference, ratio);
    FullResult<V> result;
    result.value =
        hn::Add(hn::Mul(half, hn::Add(log, square)), hn::Set(d, constant));
    result.slope = ratio;
    result.extra_slopes[0] = hn::Zero(d);
    result.extra_slopes[1] = hn::Mul(half, hn::Sub(hn::Set(d, 1), square));
    return result;
  }

  T constant;
};

template <class T>
ElementwiseSum Run(const GaussianNllParams& params, Semantics semantics,
                   const ElementwiseArgs<T>& args) {
  if (args.extras[0] != nullptr) {
    return RunElementwise<T>(VarianceFunctor<T>(params, semantics), args);
  }
  return RunElementwise<T>(LogVarianceFunctor<T>(params), args);
}

LOSSD_ELEMENTWISE_TARGETS_OF(GaussianNllParams, Run)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(GaussianNllParams)

std::optional<Offence> Explain(double /*prediction*/, double /*target*/,
                               std::span<const double> extras) {
  if (extras[0] < 0) {
    return Offence{Offence::Tensor::kExtra, 0, NumberText(extras[0]),
                   "variances >= 0; if these are logarithms, send them as "
                   "log_variance",
                   0};
  }
  return std::nullopt;
}

}  // namespace

LossKernel GaussianNll::Kernel(const Params& params, Semantics semantics) {
  return {
      .traits = {.extras = {{.name = "variance", .differentiable = true},
                            {.name = "log_variance", .differentiable = true}},
                 .double_only = !FitsFloat(params.epsilon),
                 .one_of_extras = true},
      .engine = MakeKernel(params, semantics, Explain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
