#include "server/cgroup.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lossd {

std::vector<std::string> CgroupFolders(const std::string& root,
                                       std::string_view controller) {
  std::vector<std::string> folders;
  std::ifstream file(absl::StrCat(root, "/proc/self/cgroup"));
  for (std::string line; std::getline(file, line);) {
    // "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    std::string hierarchy = absl::StrCat(root, "/sys/fs/cgroup");
    if (!parts[1].empty()) {
      const std::vector<std::string> names = absl::StrSplit(parts[1], ',');
      if (std::find(names.begin(), names.end(), controller) == names.end()) {
        continue;
      }
      absl::StrAppend(&hierarchy, "/", parts[1]);
    }
    // Up to the root: in a container that is often the process's own cgroup,
    // whatever the path says.
    std::string path = parts[2];
    while (true) {
      folders.push_back(absl::StrCat(hierarchy, path));
      const size_t slash = path.rfind('/');
      if (slash == std::string::npos) break;
      path.resize(slash);
    }
  }
  return folders;
}

}  // namespace lossd
