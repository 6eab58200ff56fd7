// Reads a message and leaves the bytes of its tensors where gRPC put them.

#ifndef LOSSD_PROTO_WIRE_READER_H_
#define LOSSD_PROTO_WIRE_READER_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "proto/wire/layout.h"
#include "proto/wire/payloads.h"

namespace lossd::wire {

// Asked before the generated parser reads so many bytes: all but those of
// payloads, or the whole message if it is copied. False: it does not.
using MayParse = std::function<bool(size_t bytes)>;

// A received message's payloads; keeps them alive. Movable. What Of() returns
// is valid as long as this and, for messages that had to be copied, the
// message.
class ReceivedPayloads {
 public:
  // Of a field of the message that holds a tensor's bytes.
  Payload Of(const std::string& field) const;

 private:
  friend class Detacher;
  friend bool Read(const grpc::ByteBuffer& body, const Layout& layout,
                   google::protobuf::MessageLite* message,
                   ReceivedPayloads* payloads, const MayParse& may_parse);

  struct Range {
    size_t first = 0;
    size_t count = 0;
    size_t size = 0;
  };

  // Small slices hold their bytes themselves: they never move.
  std::vector<grpc::Slice> slices_;
  std::vector<std::span<const std::byte>> pieces_;
  std::vector<Range> ranges_;
  // The fields hold the bytes themselves.
  bool copied_ = false;
};

bool Read(const grpc::ByteBuffer& body, const Layout& layout,
          google::protobuf::MessageLite* message, ReceivedPayloads* payloads,
          const MayParse& may_parse);

// Accepts exactly what the generated parser accepts and yields the same message
// and, as payloads, the same bytes. Only what no encoder of ours emits (groups,
// numbers that are longer than need be) is copied. False if `body` is no
// Message, or may not be parsed; both are then unspecified. Both must be new.
template <class Message>
bool ReadMessage(
    const grpc::ByteBuffer& body, Message* message, ReceivedPayloads* payloads,
    const MayParse& may_parse = [](size_t) { return true; }) {
  return Read(body, LayoutOf<Message>(), message, payloads, may_parse);
}

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_READER_H_
