// Makes both kernels of a loss of tokens (policy.h) of its one functor, as
// elementwise_dispatch.h does. In the part of the file that is compiled for
// every target,
//
//   LOSSD_POLICY_TARGETS(PpoParams, Functor)
//
// and in the part compiled once, inside an unnamed namespace,
//
//   LOSSD_POLICY_DISPATCH(PpoParams)
//
// which defines LossKernel MakePolicyKernel(params, semantics, traits,
// explain), element-wise or row-wise by params.prediction_kind.

#ifndef LOSSD_LIB_KERNELS_POLICY_DISPATCH_H_
#define LOSSD_LIB_KERNELS_POLICY_DISPATCH_H_

#include <utility>

#include "lib/core/spec.h"
#include "lib/kernels/elementwise_dispatch.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/kernels/policy.h"

// The parameters are types, which parentheses would break.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define LOSSD_POLICY_TARGETS(Params, Functor)                             \
  LOSSD_ELEMENTWISE_TARGETS(Params, Functor)                              \
  template <class T>                                                      \
  RowwiseOutcome RunRows(const Params& params, Semantics semantics,       \
                         const RowwiseArgs<T>& args) {                    \
    const Functor<double> functor(params, semantics);                     \
    return TokenRows<T, Functor<double>>(functor, args).Run();            \
  }                                                                       \
  RowwiseOutcome RunRowsFloat(const Params& params, Semantics semantics,  \
                              const RowwiseArgs<float>& args) {           \
    return RunRows(params, semantics, args);                              \
  }                                                                       \
  RowwiseOutcome RunRowsDouble(const Params& params, Semantics semantics, \
                               const RowwiseArgs<double>& args) {         \
    return RunRows(params, semantics, args);                              \
  }

#define LOSSD_POLICY_DISPATCH(Params)                                      \
  LOSSD_ELEMENTWISE_DISPATCH(Params)                                       \
  HWY_EXPORT(RunRowsFloat);                                                \
  HWY_EXPORT(RunRowsDouble);                                               \
  LossKernel MakePolicyKernel(const Params& params, Semantics semantics,   \
                              LossTraits traits, ExplainElement explain) { \
    if (params.prediction_kind != PredictionKind::kLogits) {               \
      return {std::move(traits),                                           \
              MakeKernel(params, semantics, std::move(explain))};          \
    }                                                                      \
    RowwiseKernel rows;                                                    \
    rows.run_float = [=](const RowwiseArgs<float>& args) {                 \
      return HWY_DYNAMIC_DISPATCH(RunRowsFloat)(params, semantics, args);  \
    };                                                                     \
    rows.run_double = [=](const RowwiseArgs<double>& args) {               \
      return HWY_DYNAMIC_DISPATCH(RunRowsDouble)(params, semantics, args); \
    };                                                                     \
    rows.explain = [explain = std::move(explain)](const RowView& row) {    \
      return ExplainToken(row, explain);                                   \
    };                                                                     \
    return {std::move(traits), std::move(rows)};                           \
  }

// NOLINTEND(bugprone-macro-parentheses)

#endif  // LOSSD_LIB_KERNELS_POLICY_DISPATCH_H_
