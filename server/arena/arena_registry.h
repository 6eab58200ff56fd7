// Which arenas exist, to whom they belong, and what limits them.

#ifndef LOSSD_SERVER_ARENA_ARENA_REGISTRY_H_
#define LOSSD_SERVER_ARENA_ARENA_REGISTRY_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

#include "absl/container/flat_hash_map.h"
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

  struct Freed {
    size_t arenas = 0;
    int64_t bytes = 0;
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

  // INVALID_ARGUMENT unless `bytes` is 1 to arena::kMaxArenaBytes.
  // RESOURCE_EXHAUSTED, one line that names the limit, what is taken and what
  // was wanted. What a limit counts is what has not been returned yet: an arena
  // that was freed and is still used counts. What is just being returned is
  // waited for.
  absl::StatusOr<Granted> Create(Owner owner, uint64_t bytes);

  // NOT_FOUND for an id that is not the owner's.
  absl::Status Free(Owner owner, const arena::Id& id);

  // All that the owner has.
  Freed FreeAll(Owner owner);

  // From here on pages are left to clients that have them instead of returned:
  // the server ends, and what they hold must not turn into zeros.
  void LeavePages() { leave_pages_ = true; }

  // Null for an id that is unknown, freed or malformed. Whoever holds the arena
  // may use its memory whatever its owner does; the last one to let go does not
  // wait for its pages to be returned: a thread of the registry does that.
  std::shared_ptr<Arena> Find(std::string_view id) const;

  Figures figures() const;

 private:
  // An arena, or room for one, that counts until this is destroyed.
  struct Held {
    explicit Held(ArenaRegistry& owner_of_this) : registry(owner_of_this) {}
    ~Held();
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    ArenaRegistry& registry;
    Owner owner = 0;
    // 0 while it does not count.
    int64_t bytes = 0;
    std::unique_ptr<Arena> arena;
  };
  using HeldList = std::list<Held>;

  struct Counts {
    size_t arenas = 0;
    int64_t bytes = 0;
  };
  struct Entry {
    Owner owner = 0;
    std::shared_ptr<Arena> arena;
  };

  absl::StatusOr<Granted> TryCreate(Owner owner, uint64_t bytes);
  absl::Status Count(Owner owner, int64_t bytes, Held* held);
  // Both limits and budget.
  absl::Status Reserve(Owner owner, int64_t bytes, Held* held,
                       MemoryBudget::Reservation* reservation);
  // How many arenas have been returned until now.
  uint64_t Returned();
  // Waits until more than `before` have been returned; false if they have not
  // and none is just being returned.
  bool AwaitReturn(uint64_t before);
  // Moves `held`, of one element, to where its users keep it.
  std::shared_ptr<Arena> Share(HeldList held);
  void ReturnDropped();

  const ArenaLimits limits_;
  MemoryBudget& budget_;

  // Taken before reaper_mutex_: an arena may be dropped under it.
  mutable std::mutex mutex_;
  absl::flat_hash_map<arena::Id, Entry> arenas_;
  Counts total_;
  absl::flat_hash_map<Owner, Counts> of_owners_;
  uint64_t created_ = 0;
  uint64_t refused_ = 0;

  std::mutex reaper_mutex_;
  std::condition_variable dropped_one_;
  HeldList used_;
  HeldList dropped_;
  bool returning_ = false;
  uint64_t returned_ = 0;
  std::condition_variable returned_one_;
  std::atomic<bool> leave_pages_ = false;
  bool stopping_ = false;
  std::thread reaper_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_REGISTRY_H_
