// What tests say of a Status or StatusOr.

#ifndef LOSSD_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define LOSSD_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

namespace lossd {

inline const absl::Status& StatusOf(const absl::Status& status) {
  return status;
}
template <class T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// The field that a status of InvalidField names, with "[i]" if it names an
// element too; the status itself in brackets if it carries no violation.
std::string ViolatedField(const absl::Status& status);

MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// Has this code, and a message that matches.
MATCHER_P2(StatusIs, code, message,
           absl::StatusCodeToString(code) + " whose message " +
               testing::DescribeMatcher<std::string>(message)) {
  const absl::Status& status = StatusOf(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         testing::ExplainMatchResult(message, std::string(status.message()),
                                     result_listener);
}

// INVALID_ARGUMENT naming this field ("options.delta") or this element
// ("targets.data[3]"), and saying what was given and what is allowed.
MATCHER_P(Violates, field, "refuses " + testing::PrintToString(field)) {
  const absl::Status& status = StatusOf(arg);
  *result_listener << status.ToString();
  return status.code() == absl::StatusCode::kInvalidArgument &&
         ViolatedField(status) == field;
}

}  // namespace lossd

#endif  // LOSSD_TESTS_SUPPORT_STATUS_MATCHERS_H_
