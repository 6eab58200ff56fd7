#include "lib/losses/nll.h"

#include "lib/losses/sparse_categorical_cross_entropy.h"

namespace lossd {
namespace {

SparseCategoricalCrossEntropyParams Sparse(const NllParams& params) {
  return {.prediction_kind = PredictionKind::kLogProbabilities,
          .ignore_index = params.ignore_index};
}

}  // namespace

void Nll::Resolve(Semantics semantics, Params* params) {
  SparseCategoricalCrossEntropyParams sparse = Sparse(*params);
  SparseCategoricalCrossEntropy::Resolve(semantics, &sparse);
  params->ignore_index = sparse.ignore_index;
}

LossKernel Nll::Kernel(const Params& params, Semantics semantics) {
  return SparseCategoricalCrossEntropy::Kernel(Sparse(params), semantics);
}

}  // namespace lossd
