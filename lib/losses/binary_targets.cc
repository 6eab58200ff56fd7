#include "lib/losses/binary_targets.h"

#include "lib/core/violation.h"

namespace lossd {
namespace {

std::optional<Offence> Explain(bool probabilities, double prediction,
                               double target) {
  if (probabilities && !(prediction >= 0 && prediction <= 1)) {
    return Offence{Offence::Tensor::kPredictions, 0, NumberText(prediction),
                   "probabilities in [0, 1]; these look like logits: set "
                   "prediction_kind to LOGITS"};
  }
  if (!(target >= 0 && target <= 1)) {
    return Offence{Offence::Tensor::kTargets, 0, NumberText(target),
                   "in [0, 1]"};
  }
  if (probabilities && (prediction == 0 || prediction == 1)) {
    return Offence{
        Offence::Tensor::kPredictions, 0,
        NumberText(prediction) + " where the target is " + NumberText(target),
        "probabilities whose loss is finite; logits keep what "
        "rounding to 0 or 1 loses"};
  }
  return std::nullopt;
}

}  // namespace

decltype(ElementwiseKernel::explain) ExplainBinary(PredictionKind kind) {
  const bool probabilities = kind == PredictionKind::kProbabilities;
  return [=](double prediction, double target, std::span<const double>) {
    return Explain(probabilities, prediction, target);
  };
}

}  // namespace lossd
