#include "server/cpu_budget.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/server/fake_machine.h"

namespace lossd {
namespace {

class FakeCpus : public FakeMachine {
 public:
  int Budget() const { return CpuBudget(root()); }
};

// Without quotas the affinity of this very test counts.
int Unlimited() { return FakeCpus().Budget(); }

TEST(CpuBudgetTest, NoCgroups) { EXPECT_GE(Unlimited(), 1); }

TEST(CpuBudgetTest, Version2) {
  FakeCpus machine;
  machine.Write("proc/self/cgroup", "0::/pod/box\n");
  machine.Write("sys/fs/cgroup/pod/box/cpu.max", "max 100000\n");
  EXPECT_EQ(machine.Budget(), Unlimited());
  machine.Write("sys/fs/cgroup/pod/box/cpu.max", "50000 100000\n");
  EXPECT_EQ(machine.Budget(), 1);
}

TEST(CpuBudgetTest, AParentsQuotaCounts) {
  FakeCpus machine;
  machine.Write("proc/self/cgroup", "0::/pod/box\n");
  machine.Write("sys/fs/cgroup/pod/box/cpu.max", "max 100000\n");
  machine.Write("sys/fs/cgroup/pod/cpu.max", "1000 100000\n");
  EXPECT_EQ(machine.Budget(), 1);
}

TEST(CpuBudgetTest, TheRootsQuotaCountsInAContainer) {
  FakeCpus machine;
  machine.Write("proc/self/cgroup", "0::/\n");
  machine.Write("sys/fs/cgroup/cpu.max", "1000 100000\n");
  EXPECT_EQ(machine.Budget(), 1);
}

TEST(CpuBudgetTest, Version1) {
  FakeCpus machine;
  machine.Write("proc/self/cgroup",
                "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n0::/\n");
  machine.Write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1");
  machine.Write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us",
                "100000");
  EXPECT_EQ(machine.Budget(), Unlimited());
  machine.Write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us",
                "90000");
  EXPECT_EQ(machine.Budget(), 1);
}

TEST(CpuBudgetTest, PartsOfACpuAreRoundedUp) {
  FakeCpus machine;
  machine.Write("proc/self/cgroup", "0::/\n");
  machine.Write("sys/fs/cgroup/cpu.max", "110000 100000\n");
  EXPECT_EQ(machine.Budget(), std::min(2, Unlimited()));
}

}  // namespace
}  // namespace lossd
