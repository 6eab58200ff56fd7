#ifndef LOSSD_SERVER_REQUEST_PARSER_H_
#define LOSSD_SERVER_REQUEST_PARSER_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/wire/reader.h"

namespace lossd {

// Reads a request of Compute, whose tensors stay in the slices that `payloads`
// keeps; both must be new. RESOURCE_EXHAUSTED for more than `max_items` items:
// they are counted before anything is parsed, since an empty item takes two
// bytes in a message and hundreds in memory. INVALID_ARGUMENT if the bytes are
// no request.
absl::Status ParseRequest(const grpc::ByteBuffer& body, int64_t max_items,
                          v1::ComputeRequest* request,
                          wire::ReceivedPayloads* payloads);

}  // namespace lossd

#endif  // LOSSD_SERVER_REQUEST_PARSER_H_
