#ifndef LOSSD_SERVER_CGROUP_H_
#define LOSSD_SERVER_CGROUP_H_

#include <string>
#include <string_view>
#include <vector>

namespace lossd {

// The folders whose files limit what this process gets of `controller` ("cpu",
// "memory"): those of its cgroup and of all parents, of version 1 and of
// version 2, whose files have different names. Some may not exist. `root`
// stands before /proc and /sys.
std::vector<std::string> CgroupFolders(const std::string& root,
                                       std::string_view controller);

}  // namespace lossd

#endif  // LOSSD_SERVER_CGROUP_H_
