#ifndef LOSSD_SERVER_ARENA_ARENA_H_
#define LOSSD_SERVER_ARENA_ARENA_H_

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"
#include "server/memory_budget.h"

namespace lossd {

// Memory that lossd shares with a client: a memory file sealed against any
// change of size, whose pages all exist before anybody gets the descriptor, so
// that neither side gets SIGBUS. The client can write at any time, and can
// punch holes, which read as zeros. Thread-safe.
class Arena {
 public:
  // `bytes` > 0. RESOURCE_EXHAUSTED if there is no such memory, or no
  // descriptor; INTERNAL if the kernel refuses for another reason. Holds
  // `reservation` as long as the memory. Takes 0.3 s a GiB.
  static absl::StatusOr<std::unique_ptr<Arena>> Create(
      size_t bytes, MemoryBudget::Reservation reservation);

  // Returns all pages to the system, though the client may keep the descriptor,
  // unless they are to be left. Takes 0.1 s a GiB.
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::span<std::byte> memory() const { return memory_; }
  // For the client. Negative once it was taken.
  int descriptor() const { return file_.number(); }

  // To be closed when the client has it: nothing here needs it any more, and
  // arenas must not take the descriptors that RPCs need. Before the arena is
  // shared with another thread.
  Descriptor TakeDescriptor() { return std::move(file_); }

  // Leaves the pages to whoever else has the descriptor. Before the destructor,
  // on its thread.
  void LeavePages() { leave_pages_ = true; }

 private:
  Arena(Descriptor file, MemoryBudget::Reservation reservation)
      : file_(std::move(file)), reservation_(std::move(reservation)) {}
  absl::Status Allocate(size_t bytes);

  Descriptor file_;
  const MemoryBudget::Reservation reservation_;
  // Empty until it is mapped.
  std::span<std::byte> memory_;
  bool leave_pages_ = false;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_H_
