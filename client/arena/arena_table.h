// Which memory belongs to which arena. Internal to the client.

#ifndef LOSSD_CLIENT_ARENA_ARENA_TABLE_H_
#define LOSSD_CLIENT_ARENA_ARENA_TABLE_H_

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace lossd::client_internal {

class ArenaMemory;

// The arenas of a client by the addresses of their memory. Thread-safe.
class ArenaTable {
 public:
  struct Place {
    // Null when the last copy of the arena is just going.
    std::shared_ptr<ArenaMemory> arena;
    std::span<std::byte> memory;
  };

  // One look at a number: what calls without arenas pay.
  bool empty() const { return size_.load(std::memory_order_relaxed) == 0; }

  void Add(std::span<std::byte> memory, std::weak_ptr<ArenaMemory> arena);
  // Before the memory is unmapped, or the next arena might lie there.
  void Remove(std::span<std::byte> memory);

  // The arena that has the byte at `data`; none if it is no arena's.
  std::optional<Place> Find(const void* data) const;

 private:
  struct Entry {
    std::span<std::byte> memory;
    std::weak_ptr<ArenaMemory> arena;
  };

  mutable std::mutex mutex_;
  // By the first byte.
  std::map<const std::byte*, Entry> entries_;
  std::atomic<size_t> size_ = 0;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_ARENA_ARENA_TABLE_H_
