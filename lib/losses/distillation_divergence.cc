#include "lib/losses/distillation_divergence.h"

#include "lib/kernels/teacher_divergence.h"

namespace lossd {

LossKernel DistillationDivergence::Kernel(const Params& params,
                                          Semantics /*semantics*/) {
  using Kind = TeacherDivergenceOptions::Kind;
  const double squared = params.temperature * params.temperature;
  return TeacherDivergenceKernel(
      {.kind = params.reverse ? Kind::kReverse : Kind::kForward,
       .teacher_temperature = params.temperature,
       .student_temperature = params.temperature,
       .factor = params.temperature_squared ? squared : 1});
}

}  // namespace lossd
