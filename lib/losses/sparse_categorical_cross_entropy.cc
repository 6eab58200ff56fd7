#include "lib/losses/sparse_categorical_cross_entropy.h"

#include "lib/losses/categorical_cross_entropy.h"

namespace lossd {
namespace {

CategoricalCrossEntropyParams Shared(
    const SparseCategoricalCrossEntropyParams& params) {
  return {.prediction_kind = params.prediction_kind,
          .label_smoothing = params.label_smoothing,
          .z_loss = params.z_loss,
          .logit_softcap = params.logit_softcap,
          .temperature = params.temperature,
          .epsilon = params.epsilon};
}

}  // namespace

void SparseCategoricalCrossEntropy::Resolve(Semantics semantics,
                                            Params* params) {
  CategoricalCrossEntropyParams shared = Shared(*params);
  CategoricalCrossEntropy::Resolve(semantics, &shared);
  params->prediction_kind = shared.prediction_kind;
  if (semantics == Semantics::kPytorch && !params->ignore_index) {
    params->ignore_index = kPytorchIgnoreIndex;
  }
}

absl::Status SparseCategoricalCrossEntropy::Validate(const Params& params) {
  return CategoricalCrossEntropy::Validate(Shared(params));
}

LossKernel SparseCategoricalCrossEntropy::Kernel(const Params& params,
                                                 Semantics semantics) {
  LossKernel kernel =
      CategoricalCrossEntropy::Kernel(Shared(params), semantics);
  kernel.traits.targets = TargetsRole::kLabels;
  kernel.traits.tail_policy.reset();
  kernel.traits.ignore_index = params.ignore_index;
  return kernel;
}

}  // namespace lossd
