#ifndef LOSSD_SERVER_REQUEST_PARSER_H_
#define LOSSD_SERVER_REQUEST_PARSER_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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

// INVALID_ARGUMENT: the bytes are no Message.
template <class Message>
absl::Status NoMessage(const grpc::ByteBuffer& body) {
  return absl::InvalidArgumentError(
      absl::StrCat("the ", body.Length(), " bytes received are no ",
                   Message::descriptor()->full_name()));
}

// Reads a message, whose tensors stay in the slices that `payloads` keeps; both
// must be new. CheckParsedBytes, and then `reserve`, are asked before anything
// is parsed. INVALID_ARGUMENT if the bytes are no Message.
template <class Message>
absl::Status ParseMessage(
    const grpc::ByteBuffer& body,
    const std::function<absl::Status(size_t parsed_bytes)>& reserve,
    Message* message, wire::ReceivedPayloads* payloads) {
  absl::Status allowed;
  const auto may_parse = [&](size_t bytes) {
    allowed = CheckParsedBytes(bytes);
    if (allowed.ok()) allowed = reserve(bytes);
    return allowed.ok();
  };
  if (wire::ReadMessage(body, message, payloads, may_parse)) {
    return absl::OkStatus();
  }
  return allowed.ok() ? NoMessage<Message>(body) : allowed;
}

// A request of Compute, as ParseMessage. Before anything is parsed, the items
// are counted, RESOURCE_EXHAUSTED for more than `max_items`, and `for_messages`
// is asked for the memory that is needed.
absl::Status ParseRequest(
    const grpc::ByteBuffer& body, int64_t max_items,
    const std::function<absl::Status(int64_t bytes)>& for_messages,
    v1::ComputeRequest* request, wire::ReceivedPayloads* payloads);

}  // namespace lossd

#endif  // LOSSD_SERVER_REQUEST_PARSER_H_
