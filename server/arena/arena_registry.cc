#include "server/arena/arena_registry.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"

namespace lossd {
namespace {

template <class Number>
absl::Status CheckLimit(const char* limit, Number allowed, Number taken,
                        Number wanted) {
  if (taken <= allowed && wanted <= allowed - taken) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      limit, ": ", taken, " of ", allowed, " taken, ", wanted, " wanted"));
}

}  // namespace

ArenaRegistry::Held::~Held() {
  // What counts is what has not been returned.
  if (arena != nullptr && registry.leave_pages_) arena->LeavePages();
  arena.reset();
  if (bytes == 0) return;
  const std::lock_guard lock(registry.mutex_);
  const auto of_owner = registry.of_owners_.find(owner);
  for (Counts* counts : {&registry.total_, &of_owner->second}) {
    --counts->arenas;
    counts->bytes -= bytes;
  }
  if (of_owner->second.arenas == 0) registry.of_owners_.erase(of_owner);
}

ArenaRegistry::ArenaRegistry(const ArenaLimits& limits, MemoryBudget& budget)
    : limits_(limits), budget_(budget), reaper_([this] { ReturnDropped(); }) {}

ArenaRegistry::~ArenaRegistry() {
  {
    const std::lock_guard lock(mutex_);
    arenas_.clear();
  }
  {
    const std::lock_guard lock(reaper_mutex_);
    stopping_ = true;
    dropped_one_.notify_one();
  }
  reaper_.join();
}

absl::StatusOr<ArenaRegistry::Granted> ArenaRegistry::Create(Owner owner,
                                                             uint64_t bytes) {
  absl::StatusOr<Granted> granted = TryCreate(owner, bytes);
  const std::lock_guard lock(mutex_);
  ++(granted.ok() ? created_ : refused_);
  return granted;
}

absl::StatusOr<ArenaRegistry::Granted> ArenaRegistry::TryCreate(
    Owner owner, uint64_t bytes) {
  if (bytes == 0 || bytes > arena::kMaxArenaBytes) {
    return absl::InvalidArgumentError(absl::StrCat("bytes of an arena is ",
                                                   bytes, ", allowed is 1 to ",
                                                   arena::kMaxArenaBytes));
  }
  const auto wanted = static_cast<int64_t>(bytes);
  HeldList held;
  held.emplace_back(*this);
  MemoryBudget::Reservation reservation;
  absl::Status reserved;
  uint64_t returned = 0;
  do {
    returned = Returned();
    reserved = Reserve(owner, wanted, &held.front(), &reservation);
  } while (!reserved.ok() && AwaitReturn(returned));
  LOSSD_RETURN_IF_ERROR(reserved);
  // Takes its time, so under no lock.
  absl::StatusOr<std::unique_ptr<Arena>> made =
      Arena::Create(bytes, std::move(reservation));
  LOSSD_RETURN_IF_ERROR(made.status());
  held.front().arena = *std::move(made);

  Granted granted;
  if (getrandom(granted.id.data(), granted.id.size(), 0) !=
      static_cast<ssize_t>(granted.id.size())) {
    return absl::InternalError(
        absl::StrCat("no id for an arena: getrandom: ", strerror(errno)));
  }
  granted.arena = Share(std::move(held));
  const std::lock_guard lock(mutex_);
  arenas_[granted.id] = {owner, granted.arena};
  return granted;
}

absl::Status ArenaRegistry::Reserve(Owner owner, int64_t bytes, Held* held,
                                    MemoryBudget::Reservation* reservation) {
  // It may have been counted before.
  if (held->bytes == 0) LOSSD_RETURN_IF_ERROR(Count(owner, bytes, held));
  std::optional<MemoryBudget::Reservation> taken = budget_.TryReserve(bytes);
  if (taken.has_value()) {
    *reservation = *std::move(taken);
    return absl::OkStatus();
  }
  const MemoryBudget::Figures figures = budget_.figures();
  return absl::ResourceExhaustedError(absl::StrCat(
      "bytes of the memory budget: ", figures.reserved, " of ", figures.budget,
      " taken, ", figures.waiting, " requests waiting, ", bytes, " wanted"));
}

uint64_t ArenaRegistry::Returned() {
  const std::lock_guard lock(reaper_mutex_);
  return returned_;
}

bool ArenaRegistry::AwaitReturn(uint64_t before) {
  std::unique_lock lock(reaper_mutex_);
  if (returned_ == before && dropped_.empty() && !returning_) return false;
  returned_one_.wait(lock, [&] { return returned_ != before; });
  return true;
}

absl::Status ArenaRegistry::Count(Owner owner, int64_t bytes, Held* held) {
  const std::lock_guard lock(mutex_);
  const auto found = of_owners_.find(owner);
  const Counts of_owner = found == of_owners_.end() ? Counts() : found->second;
  LOSSD_RETURN_IF_ERROR(CheckLimit<size_t>("arenas of this connection",
                                           limits_.arenas_per_owner,
                                           of_owner.arenas, 1));
  LOSSD_RETURN_IF_ERROR(CheckLimit<int64_t>("bytes of this connection's arenas",
                                            limits_.bytes_per_owner,
                                            of_owner.bytes, bytes));
  LOSSD_RETURN_IF_ERROR(
      CheckLimit<size_t>("arenas", limits_.arenas, total_.arenas, 1));
  LOSSD_RETURN_IF_ERROR(CheckLimit<int64_t>(
      "bytes of all arenas", limits_.bytes, total_.bytes, bytes));
  for (Counts* counts : {&of_owners_[owner], &total_}) {
    ++counts->arenas;
    counts->bytes += bytes;
  }
  held->owner = owner;
  held->bytes = bytes;
  return absl::OkStatus();
}

std::shared_ptr<Arena> ArenaRegistry::Share(HeldList held) {
  const auto node = held.begin();
  {
    const std::lock_guard lock(reaper_mutex_);
    used_.splice(used_.end(), held);
  }
  // Whoever drops the last reference moves a node from list to list, no more.
  return {node->arena.get(), [this, node](Arena*) {
            const std::lock_guard lock(reaper_mutex_);
            dropped_.splice(dropped_.end(), used_, node);
            dropped_one_.notify_one();
          }};
}

void ArenaRegistry::ReturnDropped() {
  std::unique_lock lock(reaper_mutex_);
  while (true) {
    dropped_one_.wait(lock, [this] {
      return !dropped_.empty() || (stopping_ && used_.empty());
    });
    if (dropped_.empty()) return;
    HeldList next;
    next.splice(next.end(), dropped_, dropped_.begin());
    returning_ = true;
    lock.unlock();
    next.clear();
    lock.lock();
    returning_ = false;
    ++returned_;
    returned_one_.notify_all();
  }
}

absl::Status ArenaRegistry::Free(Owner owner, const arena::Id& id) {
  const std::lock_guard lock(mutex_);
  const auto found = arenas_.find(id);
  if (found == arenas_.end() || found->second.owner != owner) {
    return absl::NotFoundError("this connection has no arena with this id");
  }
  arenas_.erase(found);
  return absl::OkStatus();
}

ArenaRegistry::Freed ArenaRegistry::FreeAll(Owner owner) {
  Freed freed;
  const std::lock_guard lock(mutex_);
  absl::erase_if(arenas_, [&](const auto& entry) {
    if (entry.second.owner != owner) return false;
    ++freed.arenas;
    freed.bytes += static_cast<int64_t>(entry.second.arena->memory().size());
    return true;
  });
  return freed;
}

std::shared_ptr<Arena> ArenaRegistry::Find(std::string_view id) const {
  arena::Id key;
  if (id.size() != key.size()) return nullptr;
  std::memcpy(key.data(), id.data(), key.size());
  const std::lock_guard lock(mutex_);
  const auto found = arenas_.find(key);
  return found == arenas_.end() ? nullptr : found->second.arena;
}

ArenaRegistry::Figures ArenaRegistry::figures() const {
  const std::lock_guard lock(mutex_);
  return {arenas_.size(), total_.bytes, created_, refused_};
}

}  // namespace lossd
