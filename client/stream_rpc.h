// The call of ComputeStream. Internal to the client.

#ifndef LOSSD_CLIENT_STREAM_RPC_H_
#define LOSSD_CLIENT_STREAM_RPC_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <memory>
#include <optional>

namespace lossd::client_internal {

// Sends v1::ComputeStreamRequests, those that `next` gives until it gives none,
// and hands each message of the reply to `accept`, beside sending: neither
// waits for the other. When `accept` returns false the call is cancelled. Both
// run in the calling thread, one at a time. Returns what the call ended with;
// gRPC may then still have slices of what was sent.
grpc::Status SendComputeStream(
    const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* context,
    const std::function<std::optional<grpc::ByteBuffer>()>& next,
    const std::function<bool(const grpc::ByteBuffer&)>& accept);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_STREAM_RPC_H_
