#include "lib/losses/mean_absolute_percentage_error.h"

#include "lib/core/dtype.h"
#include "lib/kernels/elementwise_dispatch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/mean_absolute_percentage_error.cc"
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
  static constexpr size_t kFigures = 1;

  Functor(const MeanAbsolutePercentageErrorParams& params, Semantics)
      : epsilon(static_cast<T>(params.epsilon)) {}

  template <class D, class V = hn::Vec<D>>
  HWY_INLINE FullResult<V> operator()(D d, const Operands<V>& in) const {
    const V percent = hn::Set(d, 100);
    const V floor = hn::Set(d, epsilon);
    const V difference = hn::Sub(in.prediction, in.target);
    const V size = hn::Abs(in.target);
    const V divisor = hn::Max(size, floor);
    FullResult<V> result;
    // Not 100 |r|, which overflows first.
    result.value = hn::Mul(hn::Div(hn::Abs(difference), divisor), percent);
    result.slope = hn::IfThenElseZero(
        hn::Ne(difference, hn::Zero(d)),
        hn::CopySignToAbs(hn::Div(percent, divisor), difference));
    result.figures[0] = hn::IfThenElseZero(hn::Lt(size, floor), hn::Set(d, 1));
    return result;
  }

  T epsilon;
};

LOSSD_ELEMENTWISE_TARGETS(MeanAbsolutePercentageErrorParams, Functor)

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

LOSSD_ELEMENTWISE_DISPATCH(MeanAbsolutePercentageErrorParams)

}  // namespace

LossKernel MeanAbsolutePercentageError::Kernel(const Params& params,
                                               Semantics semantics) {
  return {.traits = {.diagnostics = {{"tiny_target_count",
                                      DiagnosticInfo::Combine::kSum}},
                     .double_only = !FitsFloat(params.epsilon)},
          .engine = MakeKernel(params, semantics, NothingToExplain)};
}

}  // namespace lossd
#endif  // HWY_ONCE
