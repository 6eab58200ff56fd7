// absl::Status from what lossd and gRPC answer. Internal to the client.

#ifndef LOSSD_CLIENT_STATUS_H_
#define LOSSD_CLIENT_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "lossd/v1/status.pb.h"

namespace lossd::client_internal {

// The status of a whole RPC. Its message begins with `target`; the details of
// the trailer become payloads under their own type URLs.
absl::Status FromGrpc(const grpc::Status& status, const std::string& target);

// The status of one item; ViolationsOf() finds its violations.
absl::Status FromItem(const v1::ItemStatus& status);

// What was found before anything was sent, with one violation. `field`, `got`
// and `allowed` as in v1::FieldViolation.
absl::Status RefusedField(absl::StatusCode code, const std::string& field,
                          const std::string& got, const std::string& allowed);

// The same with INVALID_ARGUMENT.
absl::Status InvalidField(const std::string& field, const std::string& got,
                          const std::string& allowed);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_STATUS_H_
