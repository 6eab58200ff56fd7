// A connection for requests that are serialised once and sent many times.
// Internal to the client and lossctl.

#ifndef LOSSD_CLIENT_LOAD_CONNECTION_H_
#define LOSSD_CLIENT_LOAD_CONNECTION_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::client_internal {

struct LoadReply {
  v1::ComputeResponse response;
  // Of the serialised response.
  int64_t bytes = 0;
};

// Unlike that of a Client, the connection is shared with nobody, and whoever
// sends pays neither for copies of the tensors nor for serialising them.
// Thread-safe.
class LoadConnection {
 public:
  // Takes messages of any size: the limit is the server's to keep.
  explicit LoadConnection(std::string target);

  // UNAVAILABLE if there is no connection after this time.
  absl::Status Connect(absl::Duration patience) const;

  // Sends a serialised v1::ComputeRequest, which must outlive this connection:
  // gRPC may hold on to the bytes of a call that is over. Fails as
  // Client::Compute does; without a connection with UNAVAILABLE, after 20 ms.
  absl::StatusOr<LoadReply> Compute(const std::string& request,
                                    absl::Duration deadline) const;

 private:
  const std::string target_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_LOAD_CONNECTION_H_
