#include "client/arena.h"

#include <utility>

#include "client/arena/arena_memory.h"

namespace lossd {

ClientArena::ClientArena(std::shared_ptr<client_internal::ArenaMemory> memory)
    : memory_(std::move(memory)) {}

absl::StatusOr<void*> ClientArena::AllocateBytes(size_t count,
                                                 size_t element_bytes) {
  return memory_->Allocate(count, element_bytes);
}

void ClientArena::Clear() { memory_->Clear(); }

absl::Status ClientArena::Free() { return memory_->Free(); }

size_t ClientArena::bytes() const { return memory_->memory().size(); }

size_t ClientArena::allocated() const { return memory_->allocated(); }

bool ClientArena::shared() const { return memory_->shared(); }

}  // namespace lossd
