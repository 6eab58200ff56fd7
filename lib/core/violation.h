#ifndef LOSSD_LIB_CORE_VIOLATION_H_
#define LOSSD_LIB_CORE_VIOLATION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace lossd {

// One refused input.
struct FieldViolation {
  // Where: "predictions.shape", "predictions.data", "targets.dtype",
  // "extra_inputs.class_weights.data", "normalizer", "options.delta". Options
  // of the loss always begin with "options.".
  std::string field;
  // Which element, counted over the flattened tensor.
  std::optional<int64_t> index;
  // What was given, at most 100 characters.
  std::string got;
  // What is allowed.
  std::string allowed;
};

// "predictions.data[3]: got nan, allowed: finite numbers".
std::string Describe(const FieldViolation& violation);

// An INVALID_ARGUMENT status that carries the violation; its message is
// Describe(violation).
absl::Status InvalidField(const FieldViolation& violation);

// The violation a status of InvalidField carries, if it does.
std::optional<FieldViolation> ViolationOf(const absl::Status& status);

// A number as people write it, shortest text that reads back as the same.
std::string NumberText(double number);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_VIOLATION_H_
