// The part of a streamed tensor that is there.

#ifndef LOSSD_SERVER_STREAM_TENSOR_H_
#define LOSSD_SERVER_STREAM_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "lib/core/bytes.h"
#include "lib/core/dtype.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/wire/reader.h"
#include "server/buffer_pool.h"

namespace lossd {

// A message of a stream, whose payload stays in gRPC's slices. Neither copied
// nor moved, since payloads may lie in the message.
struct StreamMessage {
  v1::ComputeStreamRequest request;
  wire::ReceivedPayloads payloads;
  // Of the whole message.
  size_t bytes = 0;
};

// Takes a tensor's chunks in order, lends them to the library through a window,
// and drops them when told. For one thread.
class StreamTensor {
 public:
  // `window` must outlive this, `pool` the chunks.
  StreamTensor(std::string name, Dtype dtype, size_t elements, Window* window,
               BufferPool& pool);

  const std::string& name() const { return name_; }
  size_t elements() const { return elements_; }
  size_t received() const { return received_; }
  bool complete() const { return received_ == elements_; }
  size_t element_bytes() const { return SizeOf(dtype_); }
  // Of what was received and may still be read.
  size_t held_bytes() const {
    return (received_ - released_) * element_bytes();
  }

  // INVALID_ARGUMENT naming the tensor's chunk: not a whole number of elements,
  // not the next ones, or more than the tensor has. std::bad_alloc.
  absl::Status Append(std::unique_ptr<StreamMessage> message);

  // Elements before this one are not read any more.
  void Release(size_t element);

 private:
  // The memory of a run of pieces.
  struct Chunk {
    std::unique_ptr<StreamMessage> message;
    // Instead of a message: small payloads side by side.
    Buffer buffer;
    size_t used = 0;
    size_t pieces = 0;
    // Place behind the last byte in the tensor.
    size_t end = 0;
  };

  absl::Status Check(const v1::StreamChunk& chunk, size_t bytes) const;
  void Keep(const wire::Payload& payload,
            std::unique_ptr<StreamMessage> message);
  void Copy(std::span<const std::byte> bytes);

  const std::string name_;
  const Dtype dtype_;
  const size_t elements_;
  Window& window_;
  BufferPool& pool_;
  size_t received_ = 0;
  size_t released_ = 0;
  // Bytes taken over, complete elements or not.
  size_t end_ = 0;
  std::deque<Chunk> chunks_;
  std::vector<Piece> pieces_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_STREAM_TENSOR_H_
