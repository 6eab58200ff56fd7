// What the copies of a Client share. Internal to the client.

#ifndef LOSSD_CLIENT_CONNECTION_H_
#define LOSSD_CLIENT_CONNECTION_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/arena/arena_source.h"
#include "client/chunked_request.h"
#include "client/client.h"
#include "client/compute_rpc.h"
#include "lossd/v1/loss_service.grpc.pb.h"

namespace lossd {

class Client::Connection {
 public:
  Connection(std::string target, const ClientOptions& options);

  const std::string& target() const { return target_; }
  const std::string& numerics_version() const { return numerics_version_; }
  v1::LossService::Stub& stub() const { return *stub_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  client_internal::ArenaSource& arenas() const { return arenas_; }

  // From here on what the server said holds.
  void Adopt(const v1::GetServerInfoResponse& info);

  // RESOURCE_EXHAUSTED if a message of so many bytes is too large.
  absl::Status CheckMessage(size_t bytes) const;

  // What the server takes of a call in chunks.
  client_internal::ChunkLimits chunk_limits() const;

  // Sends a v1::ComputeRequest. gRPC drops what it holds of it soon after this
  // has returned, if not before. `reply_bytes` is what the reply may take.
  // Fails with RESOURCE_EXHAUSTED if the request is too large.
  absl::Status Compute(const grpc::ByteBuffer& request, int64_t reply_bytes,
                       const CallOptions& options,
                       grpc::ByteBuffer* reply) const;

  // Calls `rpc` with a context of its own.
  template <typename Rpc>
  absl::Status Call(const CallOptions& options, Rpc rpc) const {
    const absl::Duration deadline = options.deadline.value_or(deadline_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    return client_internal::StatusOfCall(rpc(&context), target_, deadline);
  }

 private:
  const std::string target_;
  const absl::Duration deadline_;
  int64_t message_limit_;
  // The server's, for all calls; 0: there is none.
  int64_t memory_budget_ = 0;
  std::string numerics_version_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::LossService::Stub> stub_;
  mutable client_internal::ArenaSource arenas_;
};

}  // namespace lossd

#endif  // LOSSD_CLIENT_CONNECTION_H_
