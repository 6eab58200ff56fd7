// Memory that arenas lie in. Internal to the client.

#ifndef LOSSD_CLIENT_ARENA_ARENA_MAPPING_H_
#define LOSSD_CLIENT_ARENA_ARENA_MAPPING_H_

#include <cstddef>
#include <span>
#include <utility>

#include "absl/status/statusor.h"

namespace lossd::client_internal {

// Pages of this process, readable and writable; goes with its memory. Empty
// when moved from.
class ArenaMapping {
 public:
  // The first `bytes` > 0 of a file, shared with whoever else maps it; or, if
  // `file` is negative, zeros of its own. The pages are there when this
  // returns, so that nobody waits for them later. RESOURCE_EXHAUSTED if the
  // system has no room.
  static absl::StatusOr<ArenaMapping> Map(size_t bytes, int file);

  ArenaMapping(ArenaMapping&& other) noexcept
      : memory_(std::exchange(other.memory_, {})) {}
  ArenaMapping& operator=(ArenaMapping&& other) noexcept {
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~ArenaMapping();

  std::span<std::byte> memory() const { return memory_; }

 private:
  explicit ArenaMapping(std::span<std::byte> memory) : memory_(memory) {}

  std::span<std::byte> memory_;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_ARENA_ARENA_MAPPING_H_
