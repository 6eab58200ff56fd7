#ifndef LOSSD_LIB_LOSSES_NLL_H_
#define LOSSD_LIB_LOSSES_NLL_H_

#include <cstdint>
#include <optional>

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Negative log-likelihood of class labels.
//
//   loss = -c_y l_y,  d/dl_j = -c_y for j = y, else 0
//   l = log-probabilities,  y = label,  c = class_weights
//
// The loss of sparse_categorical_cross_entropy.h with log-probabilities, bit
// for bit.
//
// Row        sum over the last axis.
// Inputs     class_weights [C], finite, >= 0, not all 0.
// Domain     labels int32 or int64 in [0, C), or ignore_index;
//            log-probabilities finite or -inf, but not that of the label.
// Semantics  kPytorch: ignore_index is -100 unless set, and class_weights make
//            the default reduction WEIGHTED_MEAN.
// Diagnostics accuracy.
// Kinks      none.
// Convention torch.nn.NLLLoss.
// Accuracy   exact without class_weights, else within 1 ulp.
// Source     as torch.nn.NLLLoss.
struct NllParams {
  // Rows with this label do not count. Unset: none, for kPytorch -100.
  std::optional<int64_t> ignore_index;

  static void VisitOptions(auto& params, auto visit) {
    visit("ignore_index", params.ignore_index, AnyValue());
  }
};

struct Nll {
  static constexpr char kName[] = "nll";
  using Params = NllParams;
  static void Resolve(Semantics semantics, Params* params);
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_NLL_H_
