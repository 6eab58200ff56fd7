// Memory of the caller that gRPC sends from. Internal to the client.

#ifndef LOSSD_CLIENT_LENT_MEMORY_H_
#define LOSSD_CLIENT_LENT_MEMORY_H_

#include <grpcpp/support/slice.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace lossd::client_internal {

// Lends memory as slices and knows when the last of them has gone: the status
// of a call does not tell that. Slices may be dropped by any thread.
class LentMemory {
 public:
  LentMemory() = default;
  // Waits until nothing is lent.
  ~LentMemory();
  LentMemory(const LentMemory&) = delete;
  LentMemory& operator=(const LentMemory&) = delete;

  // `data` must stay as it is until nothing is lent.
  grpc::Slice Lend(const void* data, size_t bytes);

  // Slices, with what was made of them, that have not been dropped.
  size_t lent();

 private:
  static void Return(void* memory);

  std::mutex mutex_;
  std::condition_variable returned_;
  size_t lent_ = 0;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_LENT_MEMORY_H_
