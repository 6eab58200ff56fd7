#include "server/cpu_budget.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lossd {
namespace {

constexpr double kUnlimited = std::numeric_limits<double>::infinity();

// CPUs the file's numbers allow; no file, "max" and -1 mean no limit.
double QuotaV2(const std::string& folder) {
  std::ifstream file(absl::StrCat(folder, "/cpu.max"));
  double quota = 0;
  double period = 0;
  return file >> quota >> period && period > 0 ? quota / period : kUnlimited;
}

double QuotaV1(const std::string& folder) {
  std::ifstream quota_file(absl::StrCat(folder, "/cpu.cfs_quota_us"));
  std::ifstream period_file(absl::StrCat(folder, "/cpu.cfs_period_us"));
  double quota = 0;
  double period = 0;
  const bool limited =
      quota_file >> quota && period_file >> period && quota > 0 && period > 0;
  return limited ? quota / period : kUnlimited;
}

// The least quota from `path` up to the hierarchy's root. In a container the
// root is often its own cgroup, whatever the path says.
double LeastQuota(const std::string& hierarchy, std::string path,
                  double (*quota)(const std::string&)) {
  double least = kUnlimited;
  while (true) {
    least = std::min(least, quota(absl::StrCat(hierarchy, path)));
    const size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) return least;
    path.resize(slash);
  }
}

double CgroupQuota(const std::string& root) {
  double least = kUnlimited;
  std::ifstream file(absl::StrCat(root, "/proc/self/cgroup"));
  for (std::string line; std::getline(file, line);) {
    // "0::/path" in version 2, "4:cpu,cpuacct:/path" in version 1.
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    const std::string mount = absl::StrCat(root, "/sys/fs/cgroup");
    if (parts[1].empty()) {
      least = std::min(least, LeastQuota(mount, parts[2], QuotaV2));
    } else if (std::find(controllers.begin(), controllers.end(), "cpu") !=
               controllers.end()) {
      least = std::min(least, LeastQuota(absl::StrCat(mount, "/", parts[1]),
                                         parts[2], QuotaV1));
    }
  }
  return least;
}

double AffinityCount() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails on machines with more CPUs than the set has bits.
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return std::thread::hardware_concurrency();
}

}  // namespace

int CpuBudget(const std::string& root) {
  const double cpus = std::min(AffinityCount(), CgroupQuota(root));
  return std::max(1, static_cast<int>(std::ceil(cpus)));
}

}  // namespace lossd
