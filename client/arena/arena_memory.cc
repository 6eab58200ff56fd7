#include "client/arena/arena_memory.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace lossd::client_internal {
namespace {

// Of allocations: a line of the cache, and a vector of AVX-512.
constexpr size_t kAlignment = 64;

}  // namespace

absl::StatusOr<std::shared_ptr<ArenaMemory>> ArenaMemory::Shared(
    size_t bytes, std::shared_ptr<ArenaSocket> socket,
    const std::shared_ptr<ArenaTable>& table) {
  absl::StatusOr<ArenaSocket::Granted> granted = socket->Create(bytes);
  if (!granted.ok()) return granted.status();
  absl::StatusOr<ArenaMapping> mapping =
      ArenaMapping::Map(bytes, granted->file.number());
  if (!mapping.ok()) {
    socket->Free(granted->id).IgnoreError();
    return mapping.status();
  }
  auto memory = std::make_shared<ArenaMemory>(
      *std::move(mapping), std::move(socket), granted->id, table);
  table->Add(memory->memory(), memory);
  return memory;
}

absl::StatusOr<std::shared_ptr<ArenaMemory>> ArenaMemory::Ordinary(
    size_t bytes, const std::shared_ptr<ArenaTable>& table) {
  absl::StatusOr<ArenaMapping> mapping = ArenaMapping::Map(bytes, -1);
  if (!mapping.ok()) return mapping.status();
  auto memory = std::make_shared<ArenaMemory>(*std::move(mapping), nullptr,
                                              arena::Id(), table);
  table->Add(memory->memory(), memory);
  return memory;
}

ArenaMemory::ArenaMemory(ArenaMapping mapping,
                         std::shared_ptr<ArenaSocket> socket,
                         const arena::Id& id, std::shared_ptr<ArenaTable> table)
    : mapping_(std::move(mapping)),
      socket_(std::move(socket)),
      id_(id),
      table_(std::move(table)) {}

ArenaMemory::~ArenaMemory() {
  table_->Remove(memory());
  Free().IgnoreError();
}

size_t ArenaMemory::allocated() const {
  const std::lock_guard lock(mutex_);
  return allocated_;
}

absl::StatusOr<void*> ArenaMemory::Allocate(size_t count,
                                            size_t element_bytes) {
  if (freed()) return absl::FailedPreconditionError("the arena was freed");
  const std::lock_guard lock(mutex_);
  const size_t begin = (allocated_ + kAlignment - 1) / kAlignment * kAlignment;
  const size_t bytes = memory().size();
  if (begin > bytes || count > (bytes - begin) / element_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the arena has ", bytes, " bytes and ", allocated_,
        " are allocated: ", count, " x ", element_bytes, " do not fit"));
  }
  allocated_ = begin + count * element_bytes;
  return memory().data() + begin;
}

void ArenaMemory::Clear() {
  const std::lock_guard lock(mutex_);
  allocated_ = 0;
}

absl::Status ArenaMemory::Free() {
  if (freed_.exchange(true) || socket_ == nullptr) return absl::OkStatus();
  return socket_->Free(id_);
}

}  // namespace lossd::client_internal
