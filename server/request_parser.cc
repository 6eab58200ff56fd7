#include "server/request_parser.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/error_details.h"

namespace lossd {
namespace {

using google::protobuf::internal::WireFormatLite;

// Nothing if the message is malformed at its top level; what is in its fields
// is skipped.
std::optional<int64_t> CountItems(grpc::ByteBuffer body) {
  grpc::ProtoBufferReader reader(&body);
  google::protobuf::io::CodedInputStream input(&reader);
  constexpr uint32_t kItems =
      WireFormatLite::MakeTag(v1::ComputeRequest::kItemsFieldNumber,
                              WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  int64_t items = 0;
  while (const uint32_t tag = input.ReadTag()) {
    if (tag == kItems) ++items;
    if (!WireFormatLite::SkipField(&input, tag)) return std::nullopt;
  }
  if (!input.ConsumedEntireMessage()) return std::nullopt;
  return items;
}

}  // namespace

int64_t MemoryOfMessage(size_t bytes, int64_t items) {
  constexpr int64_t kOfAByte = 16;
  constexpr int64_t kOfAnItem = 1024;
  return static_cast<int64_t>(bytes) * kOfAByte + items * kOfAnItem;
}

absl::Status CheckParsedBytes(size_t bytes) {
  // Parsed in a third of a second at worst.
  constexpr size_t kMost = size_t{32} << 20;
  if (bytes <= kMost) return absl::OkStatus();
  return LimitExceeded(
      "parsed_bytes",
      absl::StrCat("the message has ", bytes,
                   " bytes besides the data of tensors, allowed: at most ",
                   kMost, "; send numbers as data rather than lists"));
}

absl::Status ParseRequest(
    const grpc::ByteBuffer& body, int64_t max_items,
    const std::function<absl::Status(int64_t bytes)>& for_messages,
    v1::ComputeRequest* request, wire::ReceivedPayloads* payloads) {
  const std::optional<int64_t> items = CountItems(body);
  if (!items) return NoMessage<v1::ComputeRequest>(body);
  if (*items > max_items) {
    return LimitExceeded(
        "items",
        absl::StrCat("items: got ", *items, ", allowed: at most ", max_items));
  }
  return ParseMessage(
      body,
      [&](size_t bytes) {
        return for_messages(MemoryOfMessage(bytes, *items));
      },
      request, payloads);
}

}  // namespace lossd
