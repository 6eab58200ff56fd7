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

// Same code; never without text unless OK, at most 1024 bytes of it.
grpc::Status ToGrpcStatus(const absl::Status& status);

// Code, text and violations of one item, within the limits status.proto gives.
v1::ItemStatus ToItemStatus(const absl::Status& status);

// UNIMPLEMENTED, naming the field and this server's version; carries the
// violation. `what` is not served: "arenas are".
absl::Status NotServed(const std::string& field, const std::string& got,
                       const std::string& what);

}  // namespace lossd

#endif  // LOSSD_SERVER_STATUS_ADAPTER_H_
