#include "client/status.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "client/client.h"

namespace lossd {
namespace {

constexpr char kItemStatusUrl[] = "type.googleapis.com/lossd.v1.ItemStatus";

}  // namespace

std::vector<v1::FieldViolation> ViolationsOf(const absl::Status& status) {
  auto payload = status.GetPayload(kItemStatusUrl);
  v1::ItemStatus item;
  if (!payload || !item.ParseFromString(std::string(*payload))) return {};
  return {item.violations().begin(), item.violations().end()};
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

absl::Status InvalidField(const std::string& field, const std::string& got,
                          const std::string& allowed) {
  v1::ItemStatus status;
  status.set_code(static_cast<int>(absl::StatusCode::kInvalidArgument));
  status.set_message(
      absl::StrCat(field, ": got ", got, ", allowed: ", allowed));
  v1::FieldViolation* violation = status.add_violations();
  violation->set_field(field);
  violation->set_got(got);
  violation->set_allowed(allowed);
  return FromItem(status);
}

}  // namespace client_internal
}  // namespace lossd
