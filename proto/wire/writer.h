// Writes a message around the bytes of its tensors, which are not copied.

#ifndef LOSSD_PROTO_WIRE_WRITER_H_
#define LOSSD_PROTO_WIRE_WRITER_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "proto/wire/layout.h"
#include "proto/wire/payloads.h"

namespace lossd::wire {

// Payloads up to this size are copied beside their message: a slice of its own
// costs gRPC more.
inline constexpr size_t kCopiedPayload = 4096;

// The payloads of a message to be written.
class SentPayloads {
 public:
  // Returns what the field with the tensor's bytes is to hold.
  std::string Add(grpc::Slice bytes) {
    slices_.push_back(std::move(bytes));
    return MarkerOf(static_cast<uint32_t>(slices_.size() - 1));
  }

  const grpc::Slice& operator[](size_t index) const { return slices_[index]; }

 private:
  std::vector<grpc::Slice> slices_;
};

grpc::ByteBuffer Write(const google::protobuf::MessageLite& message,
                       const Layout& layout, const SentPayloads& payloads);

// The bytes that the generated class would make of the message if its fields
// held the payloads, in the order of the field numbers. Every field that holds
// a tensor's bytes must be one of `payloads`, and there must be no unknown
// fields. Payloads above kCopiedPayload are
// referenced, the others may go once this returns.
template <class Message>
grpc::ByteBuffer WriteMessage(const Message& message,
                              const SentPayloads& payloads) {
  return Write(message, LayoutOf<Message>(), payloads);
}

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_WRITER_H_
