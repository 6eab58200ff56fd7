#ifndef LOSSD_SERVER_CPU_BUDGET_H_
#define LOSSD_SERVER_CPU_BUDGET_H_

#include <string>

namespace lossd {

// CPUs this process may use: the smaller of its affinity and the quotas of its
// cgroup (version 1 or 2) and all parents, rounded up; at least 1. More threads
// than that would be throttled in bursts. `root` stands before /proc and /sys.
int CpuBudget(const std::string& root = "");

}  // namespace lossd

#endif  // LOSSD_SERVER_CPU_BUDGET_H_
