#include "lib/losses/log_cosh.h"

#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/log_cosh.cc"
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
  Functor(const LogCoshParams&, Semantics) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE ValueAndSlope<V> operator()(D d, const Operands<V>& in) const {
    const V one = hn::Set(d, 1);
    const V log_2 = hn::Set(d, static_cast<T>(0.693147180559945309417));
    const V difference = hn::Sub(in.prediction, in.target);
    const V size = hn::Abs(difference);
    const auto near = hn::Lt(size, log_2);
    // Numbers that are not near are of no use to the series.
    const auto [sinh, cosh_minus_1] = SinhAndCoshMinus1(d, size);
    const V exp = ExpUpToOne(d, hn::Mul(size, hn::Set(d, -2)));
    const V value =
        hn::IfThenElse(near, Log1pUpToQuarter(d, cosh_minus_1),
                       hn::Add(hn::Sub(size, log_2), Log1pOfPositive(d, exp)));
    const V tanh =
        hn::Div(hn::IfThenElse(near, sinh, hn::Sub(one, exp)),
                hn::Add(one, hn::IfThenElse(near, cosh_minus_1, exp)));
    // What rounding the difference lost would count twice in a small value.
    const V part = hn::Sub(difference, in.prediction);
    const V rounded = hn::Sub(hn::Sub(in.prediction, hn::Sub(difference, part)),
                              hn::Add(in.target, part));
    const V lost = hn::IfThenElseZero(
        hn::Lt(size, Infinity(d)),
        hn::Mul(hn::CopySignToAbs(one, difference), rounded));
    const V decline = hn::NegMulAdd(tanh, tanh, one);
    return {hn::MulAdd(tanh, lost, value),
            hn::CopySignToAbs(hn::MulAdd(decline, lost, tanh), difference)};
  }
};

LOSSD_ELEMENTWISE_TARGETS(LogCoshParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(LogCoshParams)

}  // namespace

LossKernel LogCosh::Kernel(const Params& params, Semantics semantics) {
  return {.engine = MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
