// What both ends of ComputeStream go by.

#ifndef LOSSD_PROTO_WIRE_STREAM_LIMITS_H_
#define LOSSD_PROTO_WIRE_STREAM_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace lossd::wire {

// Largest payload of a chunk that a server accepts.
inline constexpr size_t kMaxChunkBytes = size_t{4} << 20;

// What a server reserves for a call before it is read: what may wait to be
// computed, the chunk that brings it, two more in gRPC and at hand, what may
// wait to be sent, and a step's outputs. A header that takes more than a chunk
// may is reserved beside.
inline constexpr int64_t kStreamBytes = int64_t{48} << 20;

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_STREAM_LIMITS_H_
