// Makes an ElementwiseKernel of a functor: the lines that all element-wise
// losses would repeat. In the part of the file that is compiled for every
// target, inside lossd::HWY_NAMESPACE and an unnamed namespace,
//
//   LOSSD_ELEMENTWISE_TARGETS(HuberParams, Functor)
//
// where Functor<T> is made from (params, semantics), or, where a loss has
// several functors, LOSSD_ELEMENTWISE_TARGETS_OF(HuberParams, Run) with a
// function template Run<T>(params, semantics, args); and in the part compiled
// once, inside an unnamed namespace,
//
//   LOSSD_ELEMENTWISE_DISPATCH(HuberParams)
//
// which defines ElementwiseKernel MakeKernel(params, semantics, explain).

#ifndef LOSSD_LIB_KERNELS_ELEMENTWISE_DISPATCH_H_
#define LOSSD_LIB_KERNELS_ELEMENTWISE_DISPATCH_H_

#include <utility>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

// Highway's dispatch works on functions of the file that names them, so only
// the preprocessor can write these for it. The parameters are types and names,
// which parentheses would break. NOLINTBEGIN(bugprone-macro-parentheses)
#define LOSSD_ELEMENTWISE_TARGETS_OF(Params, Run)                     \
  ElementwiseSum RunFloat(const Params& params, Semantics semantics,  \
                          const ElementwiseArgs<float>& args) {       \
    return Run<float>(params, semantics, args);                       \
  }                                                                   \
  ElementwiseSum RunDouble(const Params& params, Semantics semantics, \
                           const ElementwiseArgs<double>& args) {     \
    return Run<double>(params, semantics, args);                      \
  }

#define LOSSD_ELEMENTWISE_TARGETS(Params, Functor)                     \
  template <class T>                                                   \
  ElementwiseSum RunFunctor(const Params& params, Semantics semantics, \
                            const ElementwiseArgs<T>& args) {          \
    return RunElementwise<T>(Functor<T>(params, semantics), args);     \
  }                                                                    \
  LOSSD_ELEMENTWISE_TARGETS_OF(Params, RunFunctor)

#define LOSSD_ELEMENTWISE_DISPATCH(Params)                                     \
  HWY_EXPORT(RunFloat);                                                        \
  HWY_EXPORT(RunDouble);                                                       \
  ElementwiseKernel MakeKernel(const Params& params, Semantics semantics,      \
                               decltype(ElementwiseKernel::explain) explain) { \
    return {[=](const ElementwiseArgs<float>& args) {                          \
              return HWY_DYNAMIC_DISPATCH(RunFloat)(params, semantics, args);  \
            },                                                                 \
            [=](const ElementwiseArgs<double>& args) {                         \
              return HWY_DYNAMIC_DISPATCH(RunDouble)(params, semantics, args); \
            },                                                                 \
            std::move(explain)};                                               \
  }

namespace lossd {

// The `explain` of losses that take all finite numbers.
inline std::optional<Offence> NothingToExplain(
    double /*prediction*/, double /*target*/,
    std::span<const double> /*extras*/) {
  return std::nullopt;
}

}  // namespace lossd

// NOLINTEND(bugprone-macro-parentheses)

#endif  // LOSSD_LIB_KERNELS_ELEMENTWISE_DISPATCH_H_
