#ifndef LOSSD_LIB_LOSSES_GAUSSIAN_KL_H_
#define LOSSD_LIB_LOSSES_GAUSSIAN_KL_H_

#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Kullback-Leibler divergence of independent Gaussians from their prior: the
// latent term of a variational auto-encoder. It has no targets.
//
//   d = prediction - prior_mean,  w = log_variance - prior_log_variance
//   value                 = (d^2 e^-prior_log_variance + e^w - 1 - w) / 2
//   slope                 = d e^-prior_log_variance
//   slope of log_variance = (e^w - 1) / 2
//
// e^w - 1 - w is computed as w^2 / 2 + w^3 / 6 + ... where w is small, so that
// both terms of a value are >= 0 and neither loses digits near the prior.
//
// Row        sum over the last axis, in every semantics.
// Inputs     log_variance, required, has a gradient; prior_mean and
//            prior_log_variance, 0 where not given. As predictions.
// Domain     finite numbers; e^w finite.
// Kinks      none.
// Convention torch.distributions.kl_divergence of two Normals, summed over the
//            last axis. The same under all semantics.
// Accuracy   float32: value and slopes within 4 ulp.
// Source     Kingma and Welling (2013), "Auto-Encoding Variational Bayes",
//            appendix B.
struct GaussianKlParams {
  static void VisitOptions(auto& /*params*/, auto /*visit*/) {}
};

struct GaussianKl {
  static constexpr char kName[] = "gaussian_kl";
  using Params = GaussianKlParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_GAUSSIAN_KL_H_
