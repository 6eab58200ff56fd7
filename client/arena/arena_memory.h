// What the copies of an arena share. Internal to the client.

#ifndef LOSSD_CLIENT_ARENA_ARENA_MEMORY_H_
#define LOSSD_CLIENT_ARENA_ARENA_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/arena/arena_mapping.h"
#include "client/arena/arena_socket.h"
#include "client/arena/arena_table.h"
#include "proto/arena/protocol.h"

namespace lossd::client_internal {

// An arena's memory, how much of it is taken, and the arena of the server. When
// it goes, so do all three. Thread-safe.
class ArenaMemory {
 public:
  // Of a new arena of the server, entered into `table`. Fails as
  // ArenaSocket::Create and ArenaMapping::Map do.
  static absl::StatusOr<std::shared_ptr<ArenaMemory>> Shared(
      size_t bytes, std::shared_ptr<ArenaSocket> socket,
      const std::shared_ptr<ArenaTable>& table);
  // Ordinary memory that the server knows nothing of.
  static absl::StatusOr<std::shared_ptr<ArenaMemory>> Ordinary(
      size_t bytes, const std::shared_ptr<ArenaTable>& table);

  // Of these two; `socket` is null for ordinary memory, which has no `id`.
  ArenaMemory(ArenaMapping mapping, std::shared_ptr<ArenaSocket> socket,
              const arena::Id& id, std::shared_ptr<ArenaTable> table);
  ~ArenaMemory();
  ArenaMemory(const ArenaMemory&) = delete;
  ArenaMemory& operator=(const ArenaMemory&) = delete;

  std::span<std::byte> memory() const { return mapping_.memory(); }
  bool shared() const { return socket_ != nullptr; }
  const arena::Id& id() const { return id_; }
  bool freed() const { return freed_; }
  size_t allocated() const;

  // What Arena says of the functions of these names. Allocate returns the first
  // byte.
  absl::StatusOr<void*> Allocate(size_t count, size_t element_bytes);
  void Clear();
  absl::Status Free();

 private:
  const ArenaMapping mapping_;
  const std::shared_ptr<ArenaSocket> socket_;
  const arena::Id id_;
  const std::shared_ptr<ArenaTable> table_;
  std::atomic<bool> freed_ = false;
  mutable std::mutex mutex_;
  size_t allocated_ = 0;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_ARENA_ARENA_MEMORY_H_
