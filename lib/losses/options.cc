#include "lib/losses/options.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

std::string AllowedText(const NumberRange& range) {
  const bool from = std::isfinite(range.minimum);
  const bool to = std::isfinite(range.maximum);
  if (from && to) {
    return absl::StrCat(
        "in ", range.exclusive_minimum ? "(" : "[", NumberText(range.minimum),
        ", ", NumberText(range.maximum), range.exclusive_maximum ? ")" : "]");
  }
  if (from) {
    return absl::StrCat("finite and ", range.exclusive_minimum ? "> " : ">= ",
                        NumberText(range.minimum));
  }
  if (to) {
    return absl::StrCat("finite and ", range.exclusive_maximum ? "< " : "<= ",
                        NumberText(range.maximum));
  }
  return "finite numbers";
}

}  // namespace

std::string_view NameOf(PredictionKind kind) {
  switch (kind) {
    case PredictionKind::kUnspecified:
      break;
    case PredictionKind::kLogits:
      return "LOGITS";
    case PredictionKind::kProbabilities:
      return "PROBABILITIES";
    case PredictionKind::kLogProbabilities:
      return "LOG_PROBABILITIES";
  }
  return "UNSPECIFIED";
}

std::string_view NameOf(TargetKind kind) {
  return kind == TargetKind::kProbabilities ? "PROBABILITIES"
                                            : "LOG_PROBABILITIES";
}

std::string_view NameOf(LabelEncoding encoding) {
  return encoding == LabelEncoding::kPlusMinusOne ? "PLUS_MINUS_ONE"
                                                  : "ZERO_ONE";
}

std::string_view NameOf(TailPolicy policy) {
  switch (policy) {
    case TailPolicy::kDrop:
      return "DROP";
    case TailPolicy::kRenormalize:
      return "RENORMALIZE";
    case TailPolicy::kUniformTail:
      break;
  }
  return "UNIFORM_TAIL";
}

std::string_view NameOf(Scope scope) {
  return scope == Scope::kSample ? "SAMPLE" : "BATCH";
}

absl::Status CheckOption(std::string_view name, double number,
                         const NumberRange& range) {
  const bool above = range.exclusive_minimum ? number > range.minimum
                                             : number >= range.minimum;
  const bool below = range.exclusive_maximum ? number < range.maximum
                                             : number <= range.maximum;
  if (std::isfinite(number) && above && below) return absl::OkStatus();
  return RefuseOption(name, NumberText(number), AllowedText(range));
}

absl::Status RefuseOption(std::string_view name, std::string_view got,
                          std::string_view allowed) {
  return InvalidField({absl::StrCat("options.", std::string(name)),
                       std::nullopt, std::string(got), std::string(allowed)});
}

}  // namespace lossd
