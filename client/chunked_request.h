// A LossCall as messages of ComputeStream. Internal to the client.

#ifndef LOSSD_CLIENT_CHUNKED_REQUEST_H_
#define LOSSD_CLIENT_CHUNKED_REQUEST_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "client/lent_memory.h"

namespace lossd::client_internal {

// What a server takes, in bytes.
struct ChunkLimits {
  // Of a message.
  int64_t message = 0;
  // Of the tensors in a header.
  int64_t header = 0;
};

// The header, then steps: each has the next run of elements of every tensor
// that goes in chunks, the same part of all of them, predictions last. Chunks
// reference the caller's memory, which must stay as it is. For one thread.
//
// What decides which rows count and how much goes with the header where it has
// room, for then the server knows the divisor before the first gradient.
class ChunkedRequest {
 public:
  // INVALID_ARGUMENT, naming the field, for arrays that do not have the bytes
  // of their shape. Shapes and dtypes that make no sense are the server's to
  // refuse: then there is but a header. `memory` must outlive this.
  static absl::StatusOr<ChunkedRequest> Make(
      const LossCall& call, const std::string& numerics_version,
      const ChunkLimits& limits, LentMemory* memory);

  // Until Next() has given it.
  const grpc::ByteBuffer& header() const { return *header_; }

  // The next message; none after the last.
  std::optional<grpc::ByteBuffer> Next();

 private:
  struct Tensor {
    std::string name;
    const std::byte* data = nullptr;
    size_t elements = 0;
    size_t element_bytes = 0;
  };

  explicit ChunkedRequest(LentMemory* memory) : memory_(memory) {}

  absl::Status AddTensor(const std::string& field, ArrayView* array);
  // Elements of a tensor that the steps before this one have.
  size_t ElementsBefore(const Tensor& tensor, size_t step) const;
  grpc::ByteBuffer Chunk(const Tensor& tensor, size_t begin, size_t end) const;

  LentMemory* memory_;
  std::optional<grpc::ByteBuffer> header_;
  std::vector<Tensor> tensors_;
  size_t steps_ = 0;
  size_t step_ = 0;
  // The next of this step.
  size_t tensor_ = 0;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_CHUNKED_REQUEST_H_
