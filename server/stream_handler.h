// LossService.ComputeStream, served as a stream of raw messages.

#ifndef LOSSD_SERVER_STREAM_HANDLER_H_
#define LOSSD_SERVER_STREAM_HANDLER_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstddef>

#include "server/compute_handler.h"

namespace lossd {

// Outputs that may wait to be sent before neither a message is read nor a block
// computed; one step's outputs may go beyond.
inline constexpr size_t kMaxPendingBytes = size_t{4} << 20;

// Serves a call. `context` must outlive the server.
grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* NewStreamReactor(
    const ComputeContext& context, grpc::CallbackServerContext& call);

}  // namespace lossd

#endif  // LOSSD_SERVER_STREAM_HANDLER_H_
