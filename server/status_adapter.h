// How the library's and the server's statuses look on the wire.

#ifndef LOSSD_SERVER_STATUS_ADAPTER_H_
#define LOSSD_SERVER_STATUS_ADAPTER_H_

#include <grpcpp/support/status.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "lib/core/violation.h"
#include "lossd/v1/status.pb.h"

namespace lossd {

// At most `limit` bytes of `text`, without half a character at the end.
std::string CutText(std::string text, size_t limit);

// Same code; never without text unless OK, at most 1024 bytes of it. What
// error_details.h and violations say besides goes into the trailer
// grpc-status-details-bin, as a lossd.v1.Status.
grpc::Status ToGrpcStatus(const absl::Status& status);

// Code, text and violations of one item, within the limits status.proto gives.
// Of a long violation, field and what was given are cut rather than what is
// allowed.
v1::ItemStatus ToItemStatus(const absl::Status& status);

// UNIMPLEMENTED, saying that this version of lossd does not serve what was
// given; carries the violation.
absl::Status NotServed(const FieldViolation& violation);

// NOT_FOUND; carries the violation.
absl::Status NotFound(const FieldViolation& violation);

}  // namespace lossd

#endif  // LOSSD_SERVER_STATUS_ADAPTER_H_
