// The part of the memory budget that one caller may have.

#ifndef LOSSD_SERVER_MEMORY_SHARE_H_
#define LOSSD_SERVER_MEMORY_SHARE_H_

#include <atomic>
#include <cstdint>
#include <limits>

namespace lossd {

// Counts bytes up to a limit. Thread-safe.
class MemoryShare {
 public:
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

  // What is more than the limit when it shrinks is taken until it comes back.
  void Resize(int64_t limit) { limit_ = limit; }
  int64_t limit() const { return limit_; }
  int64_t taken() const { return taken_; }

  // False, and nothing is taken, if there would be more than the limit.
  [[nodiscard]] bool Take(int64_t bytes) {
    int64_t taken = taken_;
    do {
      if (bytes > limit_ - taken) return false;
    } while (!taken_.compare_exchange_weak(taken, taken + bytes));
    return true;
  }
  void Return(int64_t bytes) { taken_ -= bytes; }

 private:
  std::atomic<int64_t> limit_ = 0;
  std::atomic<int64_t> taken_ = 0;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_MEMORY_SHARE_H_
