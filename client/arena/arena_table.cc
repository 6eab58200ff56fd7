#include "client/arena/arena_table.h"

#include <functional>
#include <iterator>
#include <utility>

namespace lossd::client_internal {

void ArenaTable::Add(std::span<std::byte> memory,
                     std::weak_ptr<ArenaMemory> arena) {
  const std::lock_guard lock(mutex_);
  entries_[memory.data()] = {memory, std::move(arena)};
  size_ = entries_.size();
}

void ArenaTable::Remove(std::span<std::byte> memory) {
  const std::lock_guard lock(mutex_);
  entries_.erase(memory.data());
  size_ = entries_.size();
}

std::optional<ArenaTable::Place> ArenaTable::Find(const void* data) const {
  const auto* const byte = static_cast<const std::byte*>(data);
  const std::lock_guard lock(mutex_);
  const auto above = entries_.upper_bound(byte);
  if (above == entries_.begin()) return std::nullopt;
  const Entry& entry = std::prev(above)->second;
  const std::byte* const end = entry.memory.data() + entry.memory.size();
  // Of two objects: < would say nothing.
  if (!std::less<>()(byte, end)) return std::nullopt;
  return Place{entry.arena.lock(), entry.memory};
}

}  // namespace lossd::client_internal
