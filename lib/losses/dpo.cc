#include "lib/losses/dpo.h"

#include <utility>

#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/dpo.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
struct Functor : ElementwiseFunctor {
  static constexpr size_t kExtras = 3;
  static constexpr size_t kExtraSlopes = 1;
  static constexpr size_t kFigures = 4;

  Functor(const DpoParams& params, Semantics semantics)
      : beta(static_cast<T>(params.beta)),
        checked(semantics == Semantics::kStrict) {
    const double smoothing = params.label_smoothing;
    const double scale = params.robust ? 1 - 2 * smoothing : 1;
    right = static_cast<T>((1 - smoothing) / scale);
    wrong = static_cast<T>((params.robust ? -smoothing : smoothing) / scale);
  }

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V zero = hn::Zero(d);
    const V one = hn::Set(d, 1);
    const V strength = hn::Set(d, beta);
    const V chosen = hn::Sub(in.prediction, in.extras[1]);
    const V rejected = hn::Sub(in.extras[0], in.extras[2]);
    const V margin = hn::Mul(strength, hn::Sub(chosen, rejected));
    // log1p(e^-|h|) is what softplus of h and of -h have in common, and
    // e^-|h| / (1 + e^-|h|) the smaller of sigmoid of h and of -h.
    const V exp = ExpUpToOne(d, hn::Neg(hn::Abs(margin)));
    const V log = Log1pOfPositive(d, exp);
    const V larger = hn::Div(one, hn::Add(one, exp));
    const V smaller = hn::Mul(exp, larger);
    const auto above = hn::Ge(margin, zero);
    const V softplus_of_minus = hn::Add(hn::Max(hn::Neg(margin), zero), log);
    const V sigmoid_of_minus = hn::IfThenElse(above, smaller, larger);
    FullResult<V> result;
    result.value = hn::Mul(hn::Set(d, right), softplus_of_minus);
    V slope = hn::Mul(hn::Set(d, -right), sigmoid_of_minus);
    if (wrong != 0) {
      const V softplus = hn::Add(hn::Max(margin, zero), log);
      const V sigmoid = hn::IfThenElse(above, larger, smaller);
      result.value =
          hn::Add(result.value, hn::Mul(hn::Set(d, wrong), softplus));
      slope = hn::Add(slope, hn::Mul(hn::Set(d, wrong), sigmoid));
    }
    // The difference of a margin with itself is NaN unless it is finite.
    if (checked) result.value = hn::Add(result.value, hn::Sub(margin, margin));
    result.slope = hn::Mul(strength, slope);
    result.extra_slopes[0] = hn::Neg(result.slope);
    result.figures[0] = hn::IfThenElseZero(hn::Gt(margin, zero), one);
    result.figures[1] = margin;
    result.figures[2] = hn::Mul(strength, chosen);
    result.figures[3] = hn::Mul(strength, rejected);
    return result;
  }

  T beta;
  bool checked;
  // Factors of the two terms.
  T right, wrong;
};

LOSSD_ELEMENTWISE_TARGETS(DpoParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(DpoParams)

}  // namespace

LossKernel Dpo::Kernel(const Params& params, Semantics semantics) {
  LossTraits traits;
  traits.targets = TargetsRole::kNone;
  traits.layout = RowLayout::kElements;
  traits.extras = {
      {.name = "rejected_log_probabilities", .differentiable = true},
      {.name = "reference_chosen_log_probabilities"},
      {.name = "reference_rejected_log_probabilities"}};
  traits.diagnostics = {{"accuracy"},
                        {"margin_mean"},
                        {"chosen_reward_mean"},
                        {"rejected_reward_mean"}};
  traits.double_only = true;
  return {std::move(traits), MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
