#include "client/arena/arena_mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd::client_internal {
namespace {

absl::Status NoRoom(size_t bytes, int error) {
  return absl::ResourceExhaustedError(
      absl::StrCat("cannot map an arena of ", bytes,
                   " bytes: ", std::generic_category().message(error)));
}

}  // namespace

absl::StatusOr<ArenaMapping> ArenaMapping::Map(size_t bytes, int file) {
  const int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* const begin =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
  if (begin == MAP_FAILED) return NoRoom(bytes, errno);
  ArenaMapping mapping({static_cast<std::byte*>(begin), bytes});
  // Kernels before 5.14 do not know it: there the first step pays.
  if (madvise(begin, bytes, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    return NoRoom(bytes, errno);
  }
  return mapping;
}

ArenaMapping::~ArenaMapping() {
  if (!memory_.empty()) munmap(memory_.data(), memory_.size());
}

}  // namespace lossd::client_internal
