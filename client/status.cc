#include "client/status.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/client.h"

namespace lossd {
namespace {

constexpr char kItemStatusUrl[] = "type.googleapis.com/lossd.v1.ItemStatus";
constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";

// Of a message under this type URL; false if there is none.
template <class Message>
bool Unpack(const absl::Status& status, const char* url, Message* message) {
  auto payload = status.GetPayload(url);
  return payload && message->ParseFromString(std::string(*payload));
}

// google.rpc has but a text for what items have fields for:
// "FIELD[INDEX]: got GOT, allowed: ALLOWED". What is no such text is `got`.
v1::FieldViolation ViolationOf(const v1::BadRequest::FieldViolation& refused) {
  v1::FieldViolation violation;
  violation.set_field(refused.field());
  absl::string_view text = refused.description();
  int64_t index = 0;
  if (absl::ConsumePrefix(&text, refused.field()) &&
      absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end != text.npos && absl::SimpleAtoi(text.substr(1, end - 1), &index)) {
      violation.set_index(index);
      text.remove_prefix(end + 1);
    }
  }
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(", allowed: ", 1));
  violation.set_got(std::string(absl::StripPrefix(parts.first, ": got ")));
  violation.set_allowed(parts.second);
  return violation;
}

}  // namespace

std::vector<v1::FieldViolation> ViolationsOf(const absl::Status& status) {
  v1::ItemStatus item;
  if (Unpack(status, kItemStatusUrl, &item)) {
    return {item.violations().begin(), item.violations().end()};
  }
  std::vector<v1::FieldViolation> violations;
  v1::BadRequest request;
  if (!Unpack(status, kBadRequestUrl, &request)) return violations;
  for (const auto& refused : request.field_violations()) {
    violations.push_back(ViolationOf(refused));
  }
  return violations;
}

namespace client_internal {

absl::Status FromGrpc(const grpc::Status& status, const std::string& target) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(target, ": ", status.error_message()));
  v1::Status trailer;
  if (trailer.ParseFromString(status.error_details())) {
    for (const auto& detail : trailer.details()) {
      result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
    }
  }
  return result;
}

absl::Status FromItem(const v1::ItemStatus& status) {
  if (status.code() == 0) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.code()),
                      status.message());
  result.SetPayload(kItemStatusUrl, absl::Cord(status.SerializeAsString()));
  return result;
}

absl::Status RefusedField(absl::StatusCode code, const std::string& field,
                          const std::string& got, const std::string& allowed) {
  v1::ItemStatus status;
  status.set_code(static_cast<int>(code));
  status.set_message(
      absl::StrCat(field, ": got ", got, ", allowed: ", allowed));
  v1::FieldViolation* violation = status.add_violations();
  violation->set_field(field);
  violation->set_got(got);
  violation->set_allowed(allowed);
  return FromItem(status);
}

absl::Status InvalidField(const std::string& field, const std::string& got,
                          const std::string& allowed) {
  return RefusedField(absl::StatusCode::kInvalidArgument, field, got, allowed);
}

}  // namespace client_internal
}  // namespace lossd
