// Computes one loss whose tensors come and go in chunks.

#ifndef LOSSD_SERVER_STREAM_H_
#define LOSSD_SERVER_STREAM_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lib/stream.h"
#include "server/arena/arena_registry.h"
#include "server/buffer_pool.h"
#include "server/item_codec.h"
#include "server/metrics/metrics.h"
#include "server/stream_tensor.h"

namespace lossd {

// Largest payload of a chunk that is sent.
inline constexpr size_t kSentChunkBytes = size_t{1} << 20;

// What may have come and wait for other tensors, beside what one block reads;
// and what that may be.
inline constexpr size_t kMaxLeadBytes = size_t{8} << 20;
inline constexpr size_t kMaxBlockBytes = size_t{16} << 20;

// One call of ComputeStream, without the socket: takes messages, has steps of
// units when blocks can be computed, and gives messages. After an error, which
// is the status of the call, only Count is called. RunUnit may be called by
// several threads at a time, everything else by one. Nothing throws.
//
//   fine = stream.Accept(message);
//   while (fine.ok() && stream.HasWork()) {
//     fine = stream.BeginStep();
//     for (i < stream.units()) stream.RunUnit(i);
//     fine = stream.FinishStep();
//   }
//   send(stream.TakeOutput());
class Stream {
 public:
  // Asked for the memory of the header before it is parsed: an error is that of
  // Accept.
  using ReserveHeader = std::function<absl::Status(int64_t bytes)>;

  // All must outlive this, the pool also what was taken. `arenas` are those
  // that the caller may use, null for none.
  Stream(Metrics& metrics, BufferPool& pool, const ArenaRegistry* arenas,
         ReserveHeader for_header)
      : metrics_(metrics),
        pool_(pool),
        arenas_(arenas),
        for_header_(std::move(for_header)) {}

  // The next message; not while there is work. INVALID_ARGUMENT,
  // RESOURCE_EXHAUSTED for chunks that are too large or wait for a tensor that
  // is too far behind, FAILED_PRECONDITION for another numerics_version,
  // NOT_FOUND, UNIMPLEMENTED.
  absl::Status Accept(const grpc::ByteBuffer& body);

  // The end of the messages, when there is no work: the last output is the
  // result. INVALID_ARGUMENT if something is missing or refused.
  absl::Status End();

  // Whether blocks can be computed.
  bool HasWork() const;
  absl::Status BeginStep();
  size_t units() const { return computation_->units(); }
  // What a unit reads and writes, roughly.
  size_t unit_bytes() const { return unit_bytes_; }
  void RunUnit(size_t unit);
  // INVALID_ARGUMENT for an element that is refused.
  absl::Status FinishStep();

  // The outputs since the last time, in order.
  std::deque<grpc::ByteBuffer> TakeOutput() {
    return std::exchange(output_, {});
  }

  // Counts the loss, which ended with this code.
  void Count(absl::StatusCode code);

 private:
  struct Input {
    StreamTensor tensor;
    // Elements for each row.
    size_t per_row = 0;
    // The first phase reads it, too.
    bool weighed = false;
  };
  // Memory of an output of the step.
  struct Output {
    std::string name;
    Buffer buffer;
    size_t first = 0;
    size_t element_bytes = 0;
  };

  absl::Status Read(const grpc::ByteBuffer& body, StreamMessage* message);
  absl::Status AcceptHeader(std::unique_ptr<StreamMessage> message);
  absl::Status AcceptChunk(std::unique_ptr<StreamMessage> message);
  absl::Status AddInputs();
  absl::Status UnknownTensor(const std::string& name);
  // What the outputs of a block take.
  size_t OutputBytes() const;
  absl::Status CheckLead() const;
  absl::Status WriteResult();

  size_t BlocksReceived(const Input& input) const;
  size_t BlocksReceived() const;
  size_t WeighBlocksReceived() const;
  // Whether all rows can be weighed before the first block runs.
  bool WeighsFirst() const;
  // Where the next step of blocks ends.
  size_t StepEnd() const;
  std::span<std::byte> Allocate(std::string name, size_t first, size_t end,
                                size_t element_bytes);
  // Or stores it in an arena.
  void Send(Output output);
  void ReleaseInputs();

  Metrics& metrics_;
  BufferPool& pool_;
  const ArenaRegistry* const arenas_;
  const ReserveHeader for_header_;
  std::unique_ptr<StreamMessage> header_;
  DecodedItem item_;
  std::optional<StreamComputation> computation_;
  std::deque<Input> inputs_;
  // What a block reads of the inputs that come in chunks, at most.
  size_t block_bytes_ = 0;
  size_t unit_bytes_ = 0;
  // The loss is.
  bool finite_ = true;
  std::vector<Output> outputs_;
  std::deque<grpc::ByteBuffer> output_;
  std::mutex mutex_;
  // Of the units of the step.
  absl::Status unit_status_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_STREAM_H_
