#ifndef LOSSD_SERVER_REQUEST_PARSER_H_
#define LOSSD_SERVER_REQUEST_PARSER_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/wire/reader.h"

namespace lossd {

// Memory that a message takes once it is parsed, at most: of so many bytes
// besides those of tensors, and so many items, with their results. An empty
// item takes two bytes in a message and hundreds in memory; a number of a list
// one, and eight or, while the list grows, sixteen.
int64_t MemoryOfMessage(size_t bytes, int64_t items);

// RESOURCE_EXHAUSTED for more bytes, besides those of tensors, than the
// generated parser should be held up with.
absl::Status CheckParsedBytes(size_t bytes);

// Reads a request of Compute, whose tensors stay in the slices that `payloads`
// keeps; both must be new. Before anything is parsed, the items are counted,
// RESOURCE_EXHAUSTED for more than `max_items`, and `for_messages` is asked for
// the memory that is needed. INVALID_ARGUMENT if the bytes are no request.
absl::Status ParseRequest(
    const grpc::ByteBuffer& body, int64_t max_items,
    const std::function<absl::Status(int64_t bytes)>& for_messages,
    v1::ComputeRequest* request, wire::ReceivedPayloads* payloads);

}  // namespace lossd

#endif  // LOSSD_SERVER_REQUEST_PARSER_H_
