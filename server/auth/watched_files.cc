#include "server/auth/watched_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd {

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
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kMost + 1, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const auto size = static_cast<size_t>(file.gcount());
  if (!file && !file.eof()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot read ", path, ": ",
        errno != 0 ? strerror(errno) : "it is no file that can be read"));
  }
  if (size > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is larger than ", kMost, " bytes"));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace lossd
