// The call that all requests of Compute go through. Internal to the client and
// lossctl.

#ifndef LOSSD_CLIENT_COMPUTE_RPC_H_
#define LOSSD_CLIENT_COMPUTE_RPC_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace lossd::client_internal {

// Messages up to this size gRPC keeps, so that it can send them again when a
// connection breaks.
inline constexpr int kKeptMessage = 256 << 10;

// How a channel is set up, for messages of up to `message_limit` bytes; -1:
// any. What makes it fast belongs here, too, and must fit what the server sets.
grpc::ChannelArguments ChannelArgumentsOf(int64_t message_limit);

// That of a call with this deadline, for people.
absl::Status StatusOfCall(const grpc::Status& status, const std::string& target,
                          absl::Duration deadline);

// Sends a v1::ComputeRequest and announces what it and the reply take. Blocks
// like a generated stub, without the detour over a thread of gRPC that a
// callback takes.
grpc::Status SendCompute(const std::shared_ptr<grpc::Channel>& channel,
                         grpc::ClientContext* context,
                         const grpc::ByteBuffer& request, int64_t reply_bytes,
                         grpc::ByteBuffer* reply);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_COMPUTE_RPC_H_
