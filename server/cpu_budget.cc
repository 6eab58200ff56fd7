#include "server/cpu_budget.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/cgroup.h"

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

double CgroupQuota(const std::string& root) {
  double least = kUnlimited;
  for (const std::string& folder : CgroupFolders(root, "cpu")) {
    least = std::min({least, QuotaV2(folder), QuotaV1(folder)});
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
