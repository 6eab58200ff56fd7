#include "lib/losses/jensen_shannon_divergence.h"

#include "lib/kernels/teacher_divergence.h"

namespace lossd {

LossKernel JensenShannonDivergence::Kernel(const Params& params,
                                           Semantics /*semantics*/) {
  return TeacherDivergenceKernel(
      {.kind = TeacherDivergenceOptions::Kind::kJensenShannon,
       .teacher_temperature = params.teacher_temperature,
       .student_temperature = params.student_temperature,
       .teacher_share = params.beta});
}

}  // namespace lossd
