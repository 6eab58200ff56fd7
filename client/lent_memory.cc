#include "client/lent_memory.h"

namespace lossd::client_internal {

LentMemory::~LentMemory() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [this] { return lent_ == 0; });
}

grpc::Slice LentMemory::Lend(const void* data, size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    ++lent_;
  }
  // gRPC does not write to slices that are sent.
  return {const_cast<void*>(data), bytes, &Return, this};
}

size_t LentMemory::lent() {
  const std::lock_guard lock(mutex_);
  return lent_;
}

void LentMemory::Return(void* memory) {
  auto* const self = static_cast<LentMemory*>(memory);
  // Under the lock, or the object might be gone before it is notified.
  const std::lock_guard lock(self->mutex_);
  if (--self->lent_ == 0) self->returned_.notify_all();
}

}  // namespace lossd::client_internal
