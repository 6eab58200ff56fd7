// Which arenas exist, to whom they belong, and what limits them.

#ifndef LOSSD_SERVER_ARENA_ARENA_REGISTRY_H_
#define LOSSD_SERVER_ARENA_ARENA_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/arena/protocol.h"
#include "server/arena/arena.h"
#include "server/memory_budget.h"

namespace lossd {

struct ArenaLimits {
  size_t arenas_per_owner = 0;
  int64_t bytes_per_owner = 0;
  size_t arenas = 0;
  int64_t bytes = 0;
};

// All functions are thread-safe. It must outlive the arenas it has handed out.
class ArenaRegistry {
 public:
  // One connection; compared, never dereferenced.
  using Owner = uint64_t;

  struct Granted {
    arena::Id id;
    std::shared_ptr<Arena> arena;
  };

  struct Figures {
    // Of arenas that can be found.
    size_t arenas = 0;
    // Of all arenas whose memory is not yet returned.
    int64_t bytes = 0;
    uint64_t created = 0;
    uint64_t refused = 0;
  };

  ArenaRegistry(const ArenaLimits& limits, MemoryBudget& budget);
  // Waits until the memory of all arenas has been returned.
  ~ArenaRegistry();
  ArenaRegistry(const ArenaRegistry&) = delete;
  ArenaRegistry& operator=(const ArenaRegistry&) = delete;

  // RESOURCE_EXHAUSTED, one line that names the limit, what is taken and what
  // was wanted. What a limit counts is what has not been returned yet: an arena
  // that was freed and is still used counts.
  absl::StatusOr<Granted> Create(Owner owner, uint64_t bytes);

  // NOT_FOUND for an id that is not the owner's.
  absl::Status Free(Owner owner, const arena::Id& id);

  // All that the owner has.
  void FreeAll(Owner owner);

  // Null for an id that is unknown, freed or malformed. Whoever holds the arena
  // may use its memory whatever its owner does; the last one to let go does not
  // wait for its pages to be returned: a thread of the registry does that.
  std::shared_ptr<Arena> Find(std::string_view id) const;

  Figures figures() const;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_REGISTRY_H_
