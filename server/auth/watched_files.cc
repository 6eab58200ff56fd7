#include "server/auth/watched_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proto/arena/descriptor.h"

namespace lossd {
namespace {

absl::Status CannotRead(const std::string& path, const char* why) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot read ", path, ": ", why));
}

// By errno.
absl::Status CannotRead(const std::string& path) {
  const bool may_pass = errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                        errno == EIO || errno == EINTR;
  absl::Status status = CannotRead(path, strerror(errno));
  return may_pass ? absl::UnavailableError(status.message()) : status;
}

}  // namespace

bool WatchedFiles::Changed() {
  std::string now;
  for (const std::string& path : paths_) {
    struct stat status = {};
    if (stat(path.c_str(), &status) == 0) {
      absl::StrAppend(&now, status.st_dev, ":", status.st_ino, ":",
                      status.st_size, ":", status.st_mtim.tv_sec, ".",
                      status.st_mtim.tv_nsec, ":", status.st_ctim.tv_sec, ".",
                      status.st_ctim.tv_nsec);
    }
    now += '\n';
  }
  if (now == seen_) return false;
  seen_ = now;
  return true;
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  constexpr size_t kMost = size_t{1} << 20;
  // A pipe would be waited for, for ever, if nobody writes to it.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status = {};
  if (file.number() < 0 || fstat(file.number(), &status) != 0) {
    return CannotRead(path);
  }
  if (!S_ISREG(status.st_mode)) {
    return CannotRead(path, "it is no regular file");
  }
  std::string bytes(kMost + 1, '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t read =
        ::read(file.number(), &bytes[size], bytes.size() - size);
    if (read < 0) return CannotRead(path);
    if (read == 0) break;
    size += static_cast<size_t>(read);
  }
  if (size > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is larger than ", kMost, " bytes"));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace lossd
