#include "client/cli/prediction_kind.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/table.h"
#include "client/cli/tensor_facts.h"

namespace lossd::cli {

KindJudgement JudgePredictionKind(const Array& predictions,
                                  bool distributions) {
  const ArrayFacts facts = FactsOf(predictions);
  const std::string range =
      absl::StrCat("predictions go from ", RangeText(facts));
  if (distributions && facts.rows_exponentials_sum_to_one) {
    return {v1::PREDICTION_KIND_LOG_PROBABILITIES,
            absl::StrCat(range, ", and the exponentials of each row sum to 1")};
  }
  if (facts.first_outside_unit) {
    return {
        v1::PREDICTION_KIND_LOGITS,
        absl::StrCat(range, ", beyond [0, 1]: element ",
                     *facts.first_outside_unit, " is ",
                     ShortText(predictions.Number(*facts.first_outside_unit)))};
  }
  if (!distributions) {
    return {v1::PREDICTION_KIND_PROBABILITIES, "all predictions lie in [0, 1]"};
  }
  if (facts.rows_sum_to_one) {
    return {v1::PREDICTION_KIND_PROBABILITIES,
            "all predictions lie in [0, 1], and each row sums to 1"};
  }
  return {v1::PREDICTION_KIND_LOGITS,
          "predictions lie in [0, 1], but their rows do not sum to 1"};
}

}  // namespace lossd::cli
