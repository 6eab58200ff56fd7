// Computes a whole request, in steps that the scheduler mixes with those of
// other requests.

#ifndef LOSSD_SERVER_BATCH_H_
#define LOSSD_SERVER_BATCH_H_

#include <google/protobuf/arena.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/compute.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/wire/reader.h"
#include "server/arena/arena_overlaps.h"
#include "server/batch_reply.h"
#include "server/batch_units.h"
#include "server/buffer_pool.h"
#include "server/item_codec.h"
#include "server/metrics/metrics.h"
#include "server/reply_tensors.h"
#include "server/shared_tensors.h"

namespace lossd {

struct BatchLimits {
  int threads = 1;
  int64_t max_items = 0;
  // Of the request, which gRPC checks, and of the reply.
  int64_t max_message_bytes = 0;
};

// Asked before memory is taken: an error ends the batch.
struct BatchMemory {
  // For messages in memory, beside the bytes of the request; once at most,
  // before they are parsed.
  std::function<absl::Status(int64_t bytes)> for_messages;
  // For the bytes of all tensors of the reply until then; never less than
  // before.
  std::function<absl::Status(int64_t bytes)> for_reply;
};

// One request of Compute: parsed, then wave by wave its items are decoded,
// small ones computed many at a time, large ones block by block. The reply has
// the same bytes for any order of units. As for Job: RunUnit may be called by
// several threads at a time, everything else by one. No exception but that of
// the constructor leaves it.
class Batch {
 public:
  // Everything referred to must outlive this; `until_sent` is kept until the
  // reply's tensors are sent. `arenas` are those that the caller may use, null
  // for none.
  Batch(const grpc::ByteBuffer& request, const BatchLimits& limits,
        Metrics& metrics, BufferPool& pool, const ArenaRegistry* arenas,
        BatchMemory memory, std::shared_ptr<const void> until_sent);
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // As those of Job.
  size_t units() const { return step_.units; }
  size_t unit_bytes() const { return step_.unit_bytes; }
  void RunUnit(size_t unit);
  bool NextStep();

  // When there is no step left. Fails as a whole with INVALID_ARGUMENT if the
  // request cannot be parsed, FAILED_PRECONDITION for another numerics_version,
  // RESOURCE_EXHAUSTED for more items than the limit, for so many that not even
  // short texts fit into the reply, or when memory runs out.
  absl::StatusOr<grpc::ByteBuffer> Reply();

  // Whoever runs this says when it waits and goes on; it ends with the reply.
  StageTimer& stages() { return stages_; }

 private:
  struct Item;
  struct Step {
    size_t units = 0;
    size_t unit_bytes = 0;
    // Runs a unit, and goes on when all have run.
    std::function<absl::Status(size_t)> run;
    std::function<absl::Status()> next;
  };

  absl::Status Parse();
  absl::Status BeginItems();
  absl::Status BeginDecoding();
  absl::Status BeginWave();
  absl::Status Decode(size_t unit);
  absl::Status AllocateOutputs();
  absl::Status BeginSmallItems();
  absl::Status ComputeSmallItems(size_t unit);
  absl::Status BeginLargeItem();
  absl::Status BeginBlocks();
  absl::Status FinishLargeItem();
  absl::Status FinishWave();
  void Count(const Item& item);
  void Encode(const absl::StatusOr<LossResult>& computed, Item* item);
  absl::StatusOr<grpc::ByteBuffer> Write();
  // Runs `step`, and remembers the status if it fails.
  void Guard(const std::function<absl::Status()>& step);

  const grpc::ByteBuffer body_;
  const BatchLimits& limits_;
  Metrics& metrics_;
  StageTimer stages_;
  const ArenaRegistry* const arenas_;
  const BatchMemory memory_;
  wire::ReceivedPayloads payloads_;
  google::protobuf::Arena arena_;
  v1::ComputeRequest& request_;
  v1::ComputeResponse& response_;
  ArenaOverlaps overlaps_;
  SharedTensors shared_;
  ReplyTensors tensors_;
  // Of the tensors of all items until now.
  int64_t reply_bytes_ = 0;
  std::optional<ReplySize> size_;
  std::vector<EndedItems> ended_;
  // The wave: items from this one of the request on.
  int first_ = 0;
  std::vector<Item> items_;
  // Of the step: to decode the wave, or to compute its small items.
  BatchUnits units_{0};
  std::vector<size_t> large_;
  size_t next_large_ = 0;
  std::optional<Computation> computation_;
  Step step_;
  std::mutex mutex_;
  // Of the request as a whole.
  absl::Status status_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_BATCH_H_
