#include "server/arena/arena.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/logging.h"

namespace lossd {
namespace {

absl::Status Refused(const char* call, int error) {
  const std::string text =
      absl::StrCat("no memory for an arena: ", call, ": ", strerror(error));
  switch (error) {
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InternalError(text);
  }
}

// 0, or errno.
int AllocatePages(int file, size_t bytes) {
  int result = 0;
  do {
    result = fallocate(file, 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Arena>> Arena::Create(
    size_t bytes, MemoryBudget::Reservation reservation) {
  Descriptor file(memfd_create("lossd_arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.number() < 0) return Refused("memfd_create", errno);
  std::unique_ptr<Arena> arena(
      new Arena(std::move(file), std::move(reservation)));
  LOSSD_RETURN_IF_ERROR(arena->Allocate(bytes));
  return arena;
}

absl::Status Arena::Allocate(size_t bytes) {
  // Before anything can touch a page, which would end in SIGBUS where there is
  // no memory for it.
  if (const int error = AllocatePages(descriptor(), bytes); error != 0) {
    return Refused("fallocate", error);
  }
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor(), 0);
  if (memory == MAP_FAILED) return Refused("mmap", errno);
  memory_ = {static_cast<std::byte*>(memory), bytes};
  // Page faults are cheaper at once than one by one. A kernel before 5.14 does
  // not know this (EINVAL); its pages are there all the same.
  if (madvise(memory, bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    return Refused("madvise", errno);
  }
  if (fcntl(descriptor(), F_ADD_SEALS,
            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return Refused("fcntl", errno);
  }
  return absl::OkStatus();
}

Arena::~Arena() {
  if (memory_.empty()) return;
  // Unmapping frees nothing while the client holds the file.
  if (!leave_pages_ &&
      madvise(memory_.data(), memory_.size(), MADV_REMOVE) != 0) {
    LogWarning("arena_not_returned",
               {{"bytes", static_cast<int64_t>(memory_.size())},
                {"error", strerror(errno)}});
  }
  munmap(memory_.data(), memory_.size());
}

}  // namespace lossd
