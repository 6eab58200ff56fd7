#include "server/memory_limit.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/server/fake_machine.h"

namespace lossd {
namespace {

constexpr int64_t kMachine = int64_t{8'000'000} * 1024;

class MemoryLimitTest : public testing::Test {
 protected:
  MemoryLimitTest() {
    machine_.Write("proc/meminfo",
                   "MemFree:  1000 kB\nMemTotal:  8000000 kB\nCached: 5 kB\n");
  }
  int64_t Limit() const { return MemoryLimit(machine_.root()); }

  const FakeMachine machine_;
};

TEST_F(MemoryLimitTest, WithoutCgroupsTheMachinesMemory) {
  EXPECT_EQ(Limit(), kMachine);
}

TEST_F(MemoryLimitTest, Version2) {
  machine_.Write("proc/self/cgroup", "0::/pod/box\n");
  machine_.Write("sys/fs/cgroup/pod/box/memory.max", "max\n");
  EXPECT_EQ(Limit(), kMachine);
  machine_.Write("sys/fs/cgroup/pod/box/memory.max", "1073741824\n");
  EXPECT_EQ(Limit(), 1 << 30);
}

TEST_F(MemoryLimitTest, AParentsSmallerLimitCounts) {
  machine_.Write("proc/self/cgroup", "0::/pod/box\n");
  machine_.Write("sys/fs/cgroup/pod/box/memory.max", "3000000\n");
  machine_.Write("sys/fs/cgroup/pod/memory.max", "2000000\n");
  EXPECT_EQ(Limit(), 2'000'000);
  machine_.Write("sys/fs/cgroup/pod/box/memory.max", "1000000\n");
  EXPECT_EQ(Limit(), 1'000'000);
}

TEST_F(MemoryLimitTest, TheRootsLimitCountsInAContainer) {
  machine_.Write("proc/self/cgroup", "0::/\n");
  machine_.Write("sys/fs/cgroup/memory.max", "4096\n");
  EXPECT_EQ(Limit(), 4096);
}

TEST_F(MemoryLimitTest, Version1) {
  machine_.Write("proc/self/cgroup",
                 "5:memory:/docker/abc\n4:cpu,cpuacct:/x\n0::/\n");
  machine_.Write("sys/fs/cgroup/cpu,cpuacct/x/memory.limit_in_bytes", "1");
  machine_.Write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
                 "9223372036854771712\n");
  EXPECT_EQ(Limit(), kMachine);
  machine_.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000000000\n");
  EXPECT_EQ(Limit(), 5'000'000'000);
}

TEST_F(MemoryLimitTest, ALimitAboveTheMachinesMemoryIsNone) {
  machine_.Write("proc/self/cgroup", "0::/\n");
  machine_.Write("sys/fs/cgroup/memory.max", "9000000000\n");
  EXPECT_EQ(Limit(), kMachine);
}

TEST(MemoryLimitOfNothingTest, IsNone) {
  EXPECT_EQ(MemoryLimit(FakeMachine().root()),
            std::numeric_limits<int64_t>::max());
}

TEST(MemoryLimitOfThisMachineTest, IsFound) {
  EXPECT_LT(MemoryLimit(), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace lossd
