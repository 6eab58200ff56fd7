// How both ends set up HTTP/2; ARCHITECTURE.md says what was measured.

#ifndef LOSSD_PROTO_WIRE_HTTP2_SETTINGS_H_
#define LOSSD_PROTO_WIRE_HTTP2_SETTINGS_H_

#include <grpc/grpc.h>

namespace lossd::wire {

// Sets grpc.ChannelArguments or a grpc.ServerBuilder through `set`, which takes
// a name and a number.
void SetHttp2(const auto& set) {
  // Larger frames are fewer pieces of a tensor.
  set(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 256 << 10);
  // Else gRPC widens the windows of calls that nobody reads yet, to megabytes.
  set(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // What may come of a call before anybody reads it.
  set(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 256 << 10);
}

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_HTTP2_SETTINGS_H_
