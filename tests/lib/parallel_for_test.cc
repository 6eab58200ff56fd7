#include "lib/core/parallel_for.h"

#include <atomic>
#include <new>

#include "gtest/gtest.h"
#include "lib/core/scratch.h"

namespace lossd::test {
namespace {

// Else memory that runs out in a thread of the team ends the server.
TEST(ParallelForTest, ExceptionsReachTheCaller) {
  for (const int threads : {1, 2, 3}) {
    std::atomic<int> calls = 0;
    EXPECT_THROW(ParallelFor(100, threads,
                             [&](size_t i) {
                               ++calls;
                               if (i == 99) throw std::bad_alloc();
                             }),
                 std::bad_alloc);
    EXPECT_EQ(calls, 100);
    calls = 0;
    ParallelFor(100, threads, [&](size_t) { ++calls; });
    EXPECT_EQ(calls, 100);
  }
}

TEST(ScratchTest, SmallMemoryIsUsedAgainAndLargeMemoryIsNot) {
  const auto address = [](ScratchUse use, size_t count) {
    const Scratch<double> scratch(use, count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(scratch.data()) % 64, 0);
    return scratch.data();
  };
  const double* small = address(ScratchUse::kKernel, 1);
  EXPECT_EQ(address(ScratchUse::kKernel, 12288), small);
  EXPECT_NE(address(ScratchUse::kTargets, 1), small);
  const Scratch<double> large(ScratchUse::kKernel, size_t{1} << 20);
  EXPECT_NE(large.data(), small);
  EXPECT_EQ(address(ScratchUse::kKernel, 1), small);
}

}  // namespace
}  // namespace lossd::test
