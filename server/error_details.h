// Statuses of whole RPCs that tell programs what to do about them. The details
// are those of google.rpc, carried as payloads under their type URLs until
// status_adapter.h puts them into the trailer.

#ifndef LOSSD_SERVER_ERROR_DETAILS_H_
#define LOSSD_SERVER_ERROR_DETAILS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace lossd {

// What the type URLs of details begin with. A clash of names with googleapis
// forbids declaring google.rpc; lossd.v1 has the same messages.
inline constexpr char kGoogleRpc[] = "type.googleapis.com/google.rpc.";

// FAILED_PRECONDITION, with an ErrorInfo: the caller wants the bits of another
// arithmetic.
absl::Status NumericsVersionMismatch(const std::string& wanted,
                                     const std::string& served);

// RESOURCE_EXHAUSTED, with a QuotaFailure. `subject` says whose limit: "items",
// "message".
absl::Status LimitExceeded(const std::string& subject, const std::string& text);

// RESOURCE_EXHAUSTED, with a QuotaFailure and a RetryInfo: it passes.
absl::Status LimitExceededNow(const std::string& subject,
                              const std::string& text, double seconds);

// UNIMPLEMENTED, with an ErrorInfo that holds this version.
absl::Status MethodNotServed(const std::string& text);

// UNAUTHENTICATED and PERMISSION_DENIED, with an ErrorInfo.
absl::Status NotAuthenticated(const std::string& text);
absl::Status NotAllowed(const std::string& text);

// UNAVAILABLE, with a RetryInfo.
absl::Status TryAgain(const std::string& text, double seconds);

// That of the RetryInfo, if there is one.
std::optional<absl::Duration> RetryDelayOf(const absl::Status& status);

}  // namespace lossd

#endif  // LOSSD_SERVER_ERROR_DETAILS_H_
