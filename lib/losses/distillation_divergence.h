#ifndef LOSSD_LIB_LOSSES_DISTILLATION_DIVERGENCE_H_
#define LOSSD_LIB_LOSSES_DISTILLATION_DIVERGENCE_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Kullback-Leibler divergence between a teacher's and a student's logits, both
// at a temperature, in nats.
//
//   t = softmax(target / temperature),  q = softmax(prediction / temperature)
//   f = temperature^2 with temperature_squared, else 1
//   loss    = f sum t_k log(t_k / q_k)
//   d/dx_j  = f / temperature (q_j - t_j)
//   reverse: K = sum q_k log(q_k / t_k),  loss = f K
//            d/dx_j = f / temperature q_j (log(q_j / t_j) - K)
//
// Row        sum over the last axis.
// Domain     logits finite or -inf, not all of a row -inf. A class that is -inf
//            for the student must be so for the teacher, else the loss is
//            infinite; with reverse the other way round.
// Kinks      none.
// Convention the distillation loss of Hinton et al., also keras' Distiller. The
//            same under all semantics.
// Accuracy   computed in float64 for every dtype, see
//            kernels/teacher_divergence.h; terms are all >= 0, so that a loss
//            near 0 keeps its digits.
// Source     Hinton, Vinyals and Dean (2015), "Distilling the Knowledge in a
//            Neural Network"; Gu et al. (2023), "MiniLLM", for reverse.
struct DistillationDivergenceParams {
  // Divides both logits. Finite, > 0.
  double temperature = 1;
  // Whether the loss is multiplied by the square of the temperature, so that
  // gradients keep their size.
  bool temperature_squared = true;
  // KL(student || teacher) instead of KL(teacher || student).
  bool reverse = false;

  static void VisitOptions(auto& params, auto visit) {
    visit("temperature", params.temperature, kPositive);
    visit("temperature_squared", params.temperature_squared, AnyValue());
    visit("reverse", params.reverse, AnyValue());
  }
};

struct DistillationDivergence {
  static constexpr char kName[] = "distillation_divergence";
  using Params = DistillationDivergenceParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_DISTILLATION_DIVERGENCE_H_
