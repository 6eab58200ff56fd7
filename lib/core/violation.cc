#include "lib/core/violation.h"

#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace lossd {
namespace {

constexpr char kPayload[] = "lossd/field_violation";
// Between escaped texts, which contain none.
constexpr char kSeparator = '\n';

}  // namespace

std::string Describe(const FieldViolation& violation) {
  std::string place = violation.field;
  if (violation.index) absl::StrAppend(&place, "[", *violation.index, "]");
  return absl::StrCat(place, ": got ", violation.got,
                      ", allowed: ", violation.allowed);
}

absl::Status InvalidField(const FieldViolation& violation) {
  absl::Status status = absl::InvalidArgumentError(Describe(violation));
  const std::string index =
      violation.index ? absl::StrCat(*violation.index) : std::string();
  const std::array<std::string, 4> parts = {absl::CEscape(violation.field),
                                            index, absl::CEscape(violation.got),
                                            absl::CEscape(violation.allowed)};
  status.SetPayload(
      kPayload, absl::Cord(absl::StrJoin(parts, std::string(1, kSeparator))));
  return status;
}

std::optional<FieldViolation> ViolationOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload.has_value()) return std::nullopt;
  const std::vector<std::string> parts =
      absl::StrSplit(std::string(*payload), kSeparator);
  FieldViolation violation;
  if (parts.size() != 4 || !absl::CUnescape(parts[0], &violation.field) ||
      !absl::CUnescape(parts[2], &violation.got) ||
      !absl::CUnescape(parts[3], &violation.allowed)) {
    return std::nullopt;
  }
  int64_t index = 0;
  if (absl::SimpleAtoi(parts[1], &index)) violation.index = index;
  return violation;
}

std::string NumberText(double number) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number);
  return std::string(text.data(), end.ptr);
}

}  // namespace lossd
