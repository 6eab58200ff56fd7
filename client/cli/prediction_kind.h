// Whether predictions are logits, probabilities or their logarithms.

#ifndef LOSSD_CLIENT_CLI_PREDICTION_KIND_H_
#define LOSSD_CLIENT_CLI_PREDICTION_KIND_H_

#include <string>

#include "client/cli/array_data.h"
#include "lossd/v1/losses.pb.h"

namespace lossd::cli {

// What predictions look like, and the evidence.
struct KindJudgement {
  v1::PredictionKind kind = v1::PREDICTION_KIND_UNSPECIFIED;
  std::string evidence;
};
// `distributions`: each row is to be a distribution over the last axis, as the
// softmax losses have it; else each element stands for itself.
KindJudgement JudgePredictionKind(const Array& predictions, bool distributions);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_PREDICTION_KIND_H_
