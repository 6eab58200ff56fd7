// Files that may change while lossd runs.

#ifndef LOSSD_SERVER_AUTH_WATCHED_FILES_H_
#define LOSSD_SERVER_AUTH_WATCHED_FILES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace lossd {

// Tells whether files are others than when this was last asked: by their
// device, inode, size and times, following links as Kubernetes sets them.
// For one thread at a time.
class WatchedFiles {
 public:
  explicit WatchedFiles(std::vector<std::string> paths)
      : paths_(std::move(paths)) {}

  // True the first time.
  bool Changed();

  // So that Changed will be true.
  void Forget() { seen_.clear(); }

 private:
  const std::vector<std::string> paths_;
  std::string seen_;
};

// The bytes of a regular file of at most a mebibyte. One line that names it:
// INVALID_ARGUMENT if it is larger or cannot be read; UNAVAILABLE if it cannot
// now, as when there are no descriptors.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

}  // namespace lossd

#endif  // LOSSD_SERVER_AUTH_WATCHED_FILES_H_
