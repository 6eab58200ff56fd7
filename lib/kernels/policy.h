// The losses of tokens: functions of one number, the log-probability of the
// token that was taken, which is given as such or computed from a row of
// logits. What they share.

#ifndef LOSSD_LIB_KERNELS_POLICY_H_
#define LOSSD_LIB_KERNELS_POLICY_H_

#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"

namespace lossd {

using ExplainElement = decltype(ElementwiseKernel::explain);

// kLogProbabilities: every element is a row, there are no targets. kLogits:
// targets are labels, which say what token was taken. The extra inputs have one
// number a row and are required. The caller adds its diagnostics.
LossTraits TokenTraits(PredictionKind kind,
                       std::initializer_list<std::string_view> extras);

// Why a row of logits is refused; `explain` is asked of its log-probability.
std::optional<Offence> ExplainToken(const RowView& row,
                                    const ExplainElement& explain);

// The `explain` of losses of the ratio of a prediction to the first extra
// input, old_log_probabilities.
std::optional<Offence> ExplainRatio(double prediction, double target,
                                    std::span<const double> extras);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_POLICY_H_
