#include "server/reply_tensors.h"

#include <utility>

namespace lossd {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmallBuffer = size_t{64} << 10;

// What a slice holds on to until gRPC is done with it.
struct Sending {
  Buffer buffer;
  std::shared_ptr<const void> until_sent;
};

}  // namespace

grpc::Slice SliceOf(Buffer buffer, std::shared_ptr<const void> until_sent) {
  auto sending = std::make_unique<Sending>(
      Sending{std::move(buffer), std::move(until_sent)});
  void* const memory = sending->buffer.data();
  const size_t bytes = sending->buffer.size();
  return {memory, bytes,
          [](void* owner) { delete static_cast<Sending*>(owner); },
          sending.release()};
}

std::span<std::byte> ReplyTensors::Allocate(size_t bytes, std::string* field) {
  const bool copied = bytes <= wire::kCopiedPayload;
  const grpc::Slice slice = copied ? grpc::Slice(AllocateSmall(bytes), bytes,
                                                 grpc::Slice::STATIC_SLICE)
                                   : SliceOf(pool_.Get(bytes), until_sent_);
  *field = payloads_.Add(slice);
  // The slice is only read from when this is written.
  auto* memory = const_cast<uint8_t*>(slice.begin());
  return std::as_writable_bytes(std::span(memory, bytes));
}

std::byte* ReplyTensors::AllocateSmall(size_t bytes) {
  if (small_.empty() || bytes > small_.back().size() - small_used_) {
    small_.push_back(pool_.Get(kSmallBuffer));
    small_used_ = 0;
  }
  std::byte* const memory = small_.back().data() + small_used_;
  small_used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return memory;
}

}  // namespace lossd
