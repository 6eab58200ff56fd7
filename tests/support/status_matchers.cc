#include "tests/support/status_matchers.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "lib/core/violation.h"

namespace lossd {

std::string ViolatedField(const absl::Status& status) {
  const std::optional<FieldViolation> violation = ViolationOf(status);
  if (!violation) return absl::StrCat("(", status.ToString(), ")");
  // Half a violation is none: people need all of it.
  if (violation->got.empty() || violation->allowed.empty()) {
    return absl::StrCat("(incomplete: ", status.ToString(), ")");
  }
  if (!violation->index) return violation->field;
  return absl::StrCat(violation->field, "[", *violation->index, "]");
}

}  // namespace lossd
