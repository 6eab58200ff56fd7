// What fits into a reply.

#ifndef LOSSD_SERVER_BATCH_REPLY_H_
#define LOSSD_SERVER_BATCH_REPLY_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// RESOURCE_EXHAUSTED: of a reply of at most `limit` bytes only `left` are, too
// few for the tensors of a result.
absl::Status NoRoomInReply(size_t tensor_bytes, int64_t limit, int64_t left);

// The size of a reply that grows result by result.
class ReplySize {
 public:
  // Of `items` results, and `bytes` without them, `limit` at most.
  ReplySize(int64_t limit, size_t items, size_t bytes);

  // RESOURCE_EXHAUSTED if a result with tensors of so many bytes would leave no
  // room for the refusals of those behind it.
  absl::Status CheckRoom(size_t tensor_bytes) const;

  // Counts the next result, of which so many bytes are apart.
  void Add(const v1::LossResult& result, size_t payload_bytes);

  // Makes the next result one that says why there is none, shortly if need be,
  // and counts it.
  void AddRefusal(const absl::Status& status, v1::LossResult* result);

 private:
  // What the next result may take.
  int64_t Room() const;

  const int64_t limit_;
  int64_t items_left_;
  int64_t bytes_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_BATCH_REPLY_H_
