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

absl::Status ParseRequest(const grpc::ByteBuffer& body, int64_t max_items,
                          v1::ComputeRequest* request,
                          wire::ReceivedPayloads* payloads) {
  const std::optional<int64_t> items = CountItems(body);
  if (items && *items > max_items) {
    return LimitExceeded(
        "items",
        absl::StrCat("items: got ", *items, ", allowed: at most ", max_items));
  }
  if (!items || !wire::ReadMessage(body, request, payloads)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the ", body.Length(),
                     " bytes received are no lossd.v1.ComputeRequest"));
  }
  return absl::OkStatus();
}

}  // namespace lossd
