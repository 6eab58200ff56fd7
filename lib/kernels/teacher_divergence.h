#ifndef LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_H_
#define LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_H_

#include <cstdint>

#include "lib/kernels/loss_kernel.h"

namespace lossd {

// What sets the divergences between a teacher's and a student's logits apart.
struct TeacherDivergenceOptions {
  enum class Kind : uint8_t {
    kForward,        // KL(teacher || student)
    kReverse,        // KL(student || teacher)
    kJensenShannon,  // teacher_share KL(teacher || m) + the rest KL(student ||
                     // m), m the mixture in these shares
  };

  Kind kind = Kind::kForward;
  // Divide the logits.
  double teacher_temperature = 1;
  double student_temperature = 1;
  // Multiplies losses and gradients.
  double factor = 1;
  // kJensenShannon only. In (0, 1).
  double teacher_share = 0.5;
};

// The row kernel of distillation_divergence and jensen_shannon_divergence:
// predictions are the student's logits, targets the teacher's.
//
// Stable forms: with p and r of the same class, D = log(p / r), a divergence is
//   KL(p || r) = sum of p (exp(-D) - 1 + D),
// since both sum up to 1: no term is negative, so nothing cancels, and each is
// D^2 / 2 + ... where both agree. The same holds for the classes of the
// Jensen-Shannon divergence: with a = |log(t / q)|, w the share of the smaller
// one of both, k(x) = x e^x - (e^x - 1) and L = log(1 + w (e^-a - 1)), a class
// adds max(t, q) (w k(-a) - k(L)).
//
// Always run in double: D is the difference of two logarithms, and near
// agreement, which is what training is for, float32 would keep none of it.
//
// Accuracy: a gradient element is within some 2^-52 of its class's probability
// times the size of the logits, also where it is smaller than that.
//
// Thread-safe.
LossKernel TeacherDivergenceKernel(const TeacherDivergenceOptions& options);

}  // namespace lossd

#endif  // LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_H_
