#include "server/status_adapter.h"

#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "server/version.h"

namespace lossd {
namespace {

// gRPC sends texts in HTTP/2 headers, of which peers accept 8 KiB, and may
// triple them by escaping.
constexpr size_t kMaxMessage = 1024;
constexpr size_t kMaxField = 200;
constexpr size_t kMaxGot = 100;
constexpr size_t kMaxAllowed = 300;

std::string TextOf(const absl::Status& status) {
  if (status.ok()) return "";
  if (status.message().empty()) return absl::StatusCodeToString(status.code());
  return CutText(std::string(status.message()), kMaxMessage);
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
  return {static_cast<grpc::StatusCode>(status.code()), TextOf(status)};
}

v1::ItemStatus ToItemStatus(const absl::Status& status) {
  v1::ItemStatus item;
  item.set_code(static_cast<int32_t>(status.code()));
  item.set_message(TextOf(status));
  std::optional<FieldViolation> violation = ViolationOf(status);
  if (violation) {
    v1::FieldViolation* wire = item.add_violations();
    wire->set_field(CutText(std::move(violation->field), kMaxField));
    if (violation->index) wire->set_index(*violation->index);
    wire->set_got(CutText(std::move(violation->got), kMaxGot));
    wire->set_allowed(CutText(std::move(violation->allowed), kMaxAllowed));
  }
  return item;
}

absl::Status NotServed(const std::string& field, const std::string& got,
                       const std::string& what) {
  const std::string reason =
      absl::StrCat(what, " not served by lossd ", kVersion);
  const absl::Status invalid = InvalidField({field, std::nullopt, got, reason});
  absl::Status status(absl::StatusCode::kUnimplemented,
                      absl::StrCat(field, ": ", reason));
  invalid.ForEachPayload([&status](auto type, const absl::Cord& payload) {
    status.SetPayload(type, payload);
  });
  return status;
}

}  // namespace lossd
