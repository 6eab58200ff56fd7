#ifndef LOSSD_LIB_LOSSES_DPO_H_
#define LOSSD_LIB_LOSSES_DPO_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Direct preference optimization: a logistic loss of how much more a policy
// than its reference prefers the chosen answer to the rejected one.
//
//   h     = beta ((c - reference_chosen) - (r - reference_rejected))
//   value = a sp(-h) + b sp(h),  dh = b s(h) - a s(-h)
//   slope = beta dh,  slope of rejected_log_probabilities = -beta dh
//   a = 1 - label_smoothing,  b = label_smoothing; with robust
//   a = (1 - label_smoothing) / n,  b = -label_smoothing / n,
//   n = 1 - 2 label_smoothing
//   sp(x) = log(1 + e^x),  s(x) = 1 / (1 + e^-x)
//
// c is the prediction, r the extra input rejected_log_probabilities: sums of
// the log-probabilities of an answer's tokens. There are no targets.
//
// Row        an element: a pair of answers. Extra inputs, of the shape of the
//            predictions: rejected_log_probabilities,
//            reference_chosen_log_probabilities,
//            reference_rejected_log_probabilities.
// Domain     finite numbers. Terms with factor 0 are 0.
// Diagnostics accuracy: h > 0; margin_mean: of h; chosen_reward_mean: of
//            beta (c - reference_chosen); rejected_reward_mean likewise.
// Kinks      none.
// Convention trl.DPOTrainer with loss_type sigmoid (label_smoothing: cDPO) or
//            robust. The same under all semantics.
// Accuracy   computed in float64 for every dtype: h is a small difference of
//            sums over whole answers.
// Source     Rafailov et al. (2023), "Direct Preference Optimization"; Mitchell
//            (2023) for label_smoothing; Chowdhury et al. (2024), "Provably
//            Robust DPO".
struct DpoParams {
  // How strongly the policy is held to its reference, per nat. Finite, > 0.
  double beta = 0.1;
  // Share of comparisons that are expected to be wrong. In [0, 0.5).
  double label_smoothing = 0;
  // Whether the loss is corrected for those, rather than softened; it may then
  // be negative.
  bool robust = false;

  static void VisitOptions(auto& params, auto visit) {
    visit("beta", params.beta, kPositive);
    visit("label_smoothing", params.label_smoothing,
          NumberRange{.minimum = 0, .maximum = 0.5, .exclusive_maximum = true});
    visit("robust", params.robust, AnyValue());
  }
};

struct Dpo {
  static constexpr char kName[] = "dpo";
  using Params = DpoParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_DPO_H_
