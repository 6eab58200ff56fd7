#include "server/status_adapter.h"

#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/error_details.h"
#include "server/version.h"

namespace lossd {
namespace {

// gRPC sends texts in HTTP/2 headers, of which peers accept 8 KiB, and may
// triple them by escaping.
constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxField = 200;
constexpr size_t kMaxGot = 100;
constexpr size_t kMaxAllowed = 300;

struct Texts {
  std::string message;
  std::optional<FieldViolation> violation;
};

Texts TextsOf(const absl::Status& status) {
  if (status.ok()) return {};
  if (status.message().empty()) {
    return {absl::StatusCodeToString(status.code()), std::nullopt};
  }
  Texts texts{std::string(status.message()), ViolationOf(status)};
  if (std::optional<FieldViolation>& violation = texts.violation) {
    const std::string whole = Describe(*violation);
    violation->field = CutText(std::move(violation->field), kMaxField);
    violation->got = CutText(std::move(violation->got), kMaxGot);
    violation->allowed = CutText(std::move(violation->allowed), kMaxAllowed);
    // Or a long name would leave no room for what is allowed.
    texts.message =
        absl::StrReplaceAll(texts.message, {{whole, Describe(*violation)}});
  }
  texts.message = CutText(std::move(texts.message), kMaxMessage);
  return texts;
}

// The lossd.v1.Status of the trailer; empty if it would say nothing more.
std::string DetailsOf(const absl::Status& status, const Texts& texts) {
  v1::Status trailer;
  if (absl::IsInvalidArgument(status) && texts.violation) {
    v1::BadRequest bad_request;
    auto& violation = *bad_request.add_field_violations();
    violation.set_field(texts.violation->field);
    violation.set_description(texts.message);
    google::protobuf::Any& detail = *trailer.add_details();
    detail.set_type_url(absl::StrCat(kGoogleRpc, "BadRequest"));
    detail.set_value(bad_request.SerializeAsString());
  }
  status.ForEachPayload([&trailer](auto url, const absl::Cord& payload) {
    if (!absl::StartsWith(url, kGoogleRpc)) return;
    google::protobuf::Any& detail = *trailer.add_details();
    detail.set_type_url(std::string(url));
    detail.set_value(std::string(payload));
  });
  if (trailer.details().empty()) return "";
  trailer.set_code(static_cast<int32_t>(status.code()));
  trailer.set_message(texts.message);
  return trailer.SerializeAsString();
}

absl::Status WithViolation(absl::Status status,
                           const FieldViolation& violation) {
  InvalidField(violation).ForEachPayload(
      [&status](auto type, const absl::Cord& payload) {
        status.SetPayload(type, payload);
      });
  return status;
}

}  // namespace

std::string CutText(std::string text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
    --end;
  }
  return text.substr(0, end) + "...";
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  const Texts texts = TextsOf(status);
  return {static_cast<grpc::StatusCode>(status.code()), texts.message,
          DetailsOf(status, texts)};
}

v1::ItemStatus ToItemStatus(const absl::Status& status) {
  const Texts texts = TextsOf(status);
  v1::ItemStatus item;
  item.set_code(static_cast<int32_t>(status.code()));
  item.set_message(texts.message);
  if (texts.violation) {
    v1::FieldViolation* wire = item.add_violations();
    wire->set_field(texts.violation->field);
    if (texts.violation->index) wire->set_index(*texts.violation->index);
    wire->set_got(texts.violation->got);
    wire->set_allowed(texts.violation->allowed);
  }
  return item;
}

absl::Status NotServed(const FieldViolation& violation) {
  return WithViolation(
      absl::UnimplementedError(absl::StrCat("not served by lossd ", kVersion,
                                            ": ", Describe(violation))),
      violation);
}

absl::Status NotFound(const FieldViolation& violation) {
  return WithViolation(absl::NotFoundError(Describe(violation)), violation);
}

}  // namespace lossd
