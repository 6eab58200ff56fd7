#ifndef LOSSD_LIB_LOSSES_JENSEN_SHANNON_DIVERGENCE_H_
#define LOSSD_LIB_LOSSES_JENSEN_SHANNON_DIVERGENCE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Generalised Jensen-Shannon divergence between a teacher's and a student's
// logits, in nats.
//
//   t = softmax(target / teacher_temperature)
//   q = softmax(prediction / student_temperature),  m = beta t + (1 - beta) q
//   loss   = beta KL(t || m) + (1 - beta) KL(q || m)
//   d/dx_j = (1 - beta) / student_temperature q_j (g_j - sum q_k g_k),
//            g = log(q / m)
//
// Row        sum over the last axis.
// Domain     logits finite or -inf, not all of a row -inf: the loss is at most
//            log 2.
// Kinks      none.
// Convention Liger's jsd, which however takes beta 0 and 1 as forward and
//            reverse KL: those are distillation_divergence here. The same under
//            all semantics.
// Accuracy   computed in float64 for every dtype, see
//            kernels/teacher_divergence.h; a class's term is >= 0 and keeps its
//            digits where both agree, up to 1 / min(beta, 1 - beta) roundings.
// Source     Agarwal et al. (2023), "On-Policy Distillation of Language
//            Models".
struct JensenShannonDivergenceParams {
  // Share of the teacher. In (0, 1).
  double beta = 0.5;
  // Divide the logits. Finite, > 0.
  double teacher_temperature = 1;
  double student_temperature = 1;

  static void VisitOptions(auto& params, auto visit) {
    visit("beta", params.beta, kInsideUnitInterval);
    visit("teacher_temperature", params.teacher_temperature, kPositive);
    visit("student_temperature", params.student_temperature, kPositive);
  }
};

struct JensenShannonDivergence {
  static constexpr char kName[] = "jensen_shannon_divergence";
  using Params = JensenShannonDivergenceParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_JENSEN_SHANNON_DIVERGENCE_H_
