#include "server/memory_limit.h"

#include <algorithm>
#include <fstream>
#include <limits>

#include "absl/strings/str_cat.h"
#include "server/cgroup.h"

namespace lossd {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// Bytes the file names; no file and "max" mean no limit. Version 1 writes a
// number near the largest int64 for none.
int64_t LimitIn(const std::string& path) {
  std::ifstream file(path);
  int64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : kUnlimited;
}

int64_t MachineMemory(const std::string& root) {
  std::ifstream file(absl::StrCat(root, "/proc/meminfo"));
  for (std::string word; file >> word;) {
    int64_t kib = 0;
    if (word == "MemTotal:" && file >> kib && kib > 0) return kib * 1024;
  }
  return kUnlimited;
}

}  // namespace

int64_t MemoryLimit(const std::string& root) {
  int64_t least = MachineMemory(root);
  for (const std::string& folder : CgroupFolders(root, "memory")) {
    least = std::min({least, LimitIn(absl::StrCat(folder, "/memory.max")),
                      LimitIn(absl::StrCat(folder, "/memory.limit_in_bytes"))});
  }
  return least;
}

}  // namespace lossd
