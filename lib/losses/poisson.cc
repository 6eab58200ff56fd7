#include "lib/losses/poisson.h"

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/poisson.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// What logarithms and rates share.
template <class T>
struct Terms : ElementwiseFunctor {
  Terms(const PoissonParams& params, Semantics semantics)
      : epsilon(static_cast<T>(*params.epsilon)),
        full(params.full),
        checked(semantics == Semantics::kStrict) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V WithStirling(D d, V target, V value) const {
    if (!full) return value;
    const V log = LogOfPositive(d, hn::Max(target, hn::Set(d, 1)));
    const V half_log_2_pi = hn::Set(d, static_cast<T>(0.918938533204672741780));
    const V more = hn::Sub(hn::Mul(target, log), target);
    const V root = hn::MulAdd(log, hn::Set(d, T{0.5}), half_log_2_pi);
    return hn::Add(value, hn::IfThenElseZero(hn::Gt(target, hn::Set(d, 1)),
                                             hn::Add(more, root)));
  }

  // NaN where the number is not >= 0, else the value.
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V Checked(D d, V number, V value) const {
    if (!checked) return value;
    return hn::IfThenElse(hn::Ge(number, hn::Zero(d)), value, NotANumber(d));
  }

  T epsilon;
  bool full, checked;
};

template <class T>
struct LogFunctor : Terms<T> {
  using Terms<T>::Terms;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V rate = ExpOrInfinity(d, in.prediction);
    const V value = hn::Sub(rate, hn::Mul(in.target, in.prediction));
    return {
        this->Checked(d, in.target, this->WithStirling(d, in.target, value)),
        hn::Sub(rate, in.target)};
  }
};

template <class T>
struct RateFunctor : Terms<T> {
  using Terms<T>::Terms;

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V rate = in.prediction;
    const V shift = hn::Set(d, this->epsilon);
    const V sum = hn::Add(rate, shift);
    // What rounding the sum lost is all of the logarithm near 1.
    const V part = hn::Sub(sum, rate);
    const V lost =
        hn::Add(hn::Sub(rate, hn::Sub(sum, part)), hn::Sub(shift, part));
    const V correction =
        hn::IfThenElseZero(hn::Gt(sum, hn::Zero(d)), hn::Div(lost, sum));
    const V log = hn::Add(LogOrMinusInfinity(d, sum), correction);
    const V value = this->WithStirling(d, in.target,
                                       hn::Sub(rate, hn::Mul(in.target, log)));
    return {this->Checked(d, rate, this->Checked(d, in.target, value)),
            hn::Sub(hn::Set(d, 1), hn::Div(in.target, sum))};
  }
};

template <class T>
ElementwiseSum Run(const PoissonParams& params, Semantics semantics,
                   const ElementwiseArgs<T>& args) {
  if (*params.log_input) {
    return RunElementwise<T>(LogFunctor<T>(params, semantics), args);
  }
  return RunElementwise<T>(RateFunctor<T>(params, semantics), args);
}

LOSSD_ELEMENTWISE_TARGETS_OF(PoissonParams, Run)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(PoissonParams)

std::optional<Offence> Explain(bool log_input, double prediction,
                               double target) {
  if (!log_input && prediction < 0) {
    return Offence{Offence::Tensor::kPredictions, 0, NumberText(prediction),
                   "rates >= 0; if these are logarithms of rates, set "
                   "log_input"};
  }
  if (target < 0) {
    return Offence{Offence::Tensor::kTargets, 0, NumberText(target),
                   "counts >= 0"};
  }
  return std::nullopt;
}

}  // namespace

void Poisson::Resolve(Semantics semantics, Params* params) {
  const bool keras = semantics == Semantics::kKeras;
  if (!params->log_input) params->log_input = !keras;
  if (!params->epsilon) params->epsilon = keras ? 1e-7 : 1e-8;
}

LossKernel Poisson::Kernel(const Params& params, Semantics semantics) {
  const bool log_input = *params.log_input;
  return {.traits = {.double_only = params.full || !FitsFloat(*params.epsilon)},
          .engine = MakeKernel(params, semantics,
                               [log_input](double prediction, double target,
                                           std::span<const double>) {
                                 return Explain(log_input, prediction, target);
                               })};
}

}  // namespace lossd
#endif  // HWY_ONCE
