#include "server/error_details.h"

#include <cmath>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "lossd/v1/status.pb.h"
#include "server/status_adapter.h"
#include "server/version.h"

namespace lossd {
namespace {

// `detail` under the name its twin of google.rpc has.
absl::Status With(absl::Status status,
                  const google::protobuf::Message& detail) {
  status.SetPayload(absl::StrCat(kGoogleRpc, detail.GetDescriptor()->name()),
                    absl::Cord(detail.SerializeAsString()));
  return status;
}

absl::Status WithReason(absl::Status status, const char* reason) {
  v1::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("lossd");
  return With(std::move(status), info);
}

absl::Status WithDelay(absl::Status status, double seconds) {
  v1::RetryInfo info;
  const double whole = std::floor(seconds);
  info.mutable_retry_delay()->set_seconds(static_cast<int64_t>(whole));
  info.mutable_retry_delay()->set_nanos(
      static_cast<int32_t>(std::lround((seconds - whole) * 1e9)));
  return With(std::move(status), info);
}

}  // namespace

absl::Status NumericsVersionMismatch(const std::string& wanted,
                                     const std::string& served) {
  const std::string got = CutText(wanted, 100);
  v1::ErrorInfo info;
  info.set_reason("NUMERICS_VERSION_MISMATCH");
  info.set_domain("lossd");
  (*info.mutable_metadata())["wanted"] = got;
  (*info.mutable_metadata())["served"] = served;
  return With(absl::FailedPreconditionError(
                  absl::StrCat("numerics_version: got ", got, ", lossd ",
                               kVersion, " computes ", served)),
              info);
}

absl::Status LimitExceeded(const std::string& subject,
                           const std::string& text) {
  v1::QuotaFailure failure;
  v1::QuotaFailure::Violation& violation = *failure.add_violations();
  violation.set_subject(subject);
  violation.set_description(text);
  return With(absl::ResourceExhaustedError(text), failure);
}

absl::Status LimitExceededNow(const std::string& subject,
                              const std::string& text, double seconds) {
  return WithDelay(LimitExceeded(subject, text), seconds);
}

absl::Status MethodNotServed(const std::string& text) {
  v1::ErrorInfo info;
  info.set_reason("UNIMPLEMENTED");
  info.set_domain("lossd");
  (*info.mutable_metadata())["version"] = kVersion;
  return With(absl::UnimplementedError(text), info);
}

absl::Status NotAuthenticated(const std::string& text) {
  return WithReason(absl::UnauthenticatedError(text), "UNAUTHENTICATED");
}

absl::Status NotAllowed(const std::string& text) {
  return WithReason(absl::PermissionDeniedError(text), "PERMISSION_DENIED");
}

absl::Status TryAgain(const std::string& text, double seconds) {
  return WithDelay(absl::UnavailableError(text), seconds);
}

std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const auto payload = status.GetPayload(absl::StrCat(kGoogleRpc, "RetryInfo"));
  v1::RetryInfo info;
  if (!payload || !info.ParseFromString(std::string(*payload))) {
    return std::nullopt;
  }
  return absl::Seconds(info.retry_delay().seconds()) +
         absl::Nanoseconds(info.retry_delay().nanos());
}

}  // namespace lossd
