#include "client/cli/row_shape.h"

#include <optional>
#include <string>

#include "client/cli/array_data.h"
#include "client/cli/options_reflection.h"

namespace lossd::cli {

std::vector<int64_t> RowShapeOf(const v1::Loss& loss, v1::Semantics semantics,
                                const std::vector<int64_t>& predictions) {
  if (HasOption(loss, "scope")) {
    const std::optional<std::string> scope = OptionText(loss, "scope");
    const bool batch =
        scope ? *scope == "BATCH" : semantics == v1::SEMANTICS_KERAS;
    if (batch || predictions.empty()) return {};
    return {predictions.front()};
  }
  const std::string& row_loss = InfoOf(loss).row_loss();
  const bool elements =
      (row_loss == "mean" && semantics == v1::SEMANTICS_PYTORCH) ||
      (row_loss == "element" &&
       OptionText(loss, "prediction_kind") != "LOGITS");
  return elements ? predictions : RowShape(predictions);
}

}  // namespace lossd::cli
