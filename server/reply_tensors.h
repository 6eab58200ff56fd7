// Memory of the tensors of a reply.

#ifndef LOSSD_SERVER_REPLY_TENSORS_H_
#define LOSSD_SERVER_REPLY_TENSORS_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>

#include "proto/wire/writer.h"
#include "server/buffer_pool.h"

namespace lossd {

// A slice of the buffer, which goes back to its pool when gRPC has sent it; as
// does `until_sent`, whatever it holds.
grpc::Slice SliceOf(Buffer buffer, std::shared_ptr<const void> until_sent);

// What gradients and row losses are computed into, and gRPC sends from: large
// ones each in a buffer of the pool that goes back when gRPC has sent it, small
// ones, which the writer copies, side by side. For one thread.
class ReplyTensors {
 public:
  // `until_sent` is kept until all large tensors are sent or dropped.
  ReplyTensors(BufferPool& pool, std::shared_ptr<const void> until_sent)
      : pool_(pool), until_sent_(std::move(until_sent)) {}

  // Room for the bytes of a tensor, aligned to 64 bytes, uninitialised; `field`
  // becomes what the message holds in their place. Valid as long as this.
  // std::bad_alloc when memory runs out.
  std::span<std::byte> Allocate(size_t bytes, std::string* field);

  const wire::SentPayloads& payloads() const { return payloads_; }

 private:
  std::byte* AllocateSmall(size_t bytes);

  BufferPool& pool_;
  const std::shared_ptr<const void> until_sent_;
  std::deque<Buffer> small_;
  // Of the last of them.
  size_t small_used_ = 0;
  wire::SentPayloads payloads_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_REPLY_TENSORS_H_
