#include "client/cli/bench_schedule.h"

#include <chrono>
#include <cstdint>
#include <optional>

#include "gtest/gtest.h"

namespace lossd::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

BenchTime At(int64_t milliseconds_after) {
  return BenchTime(seconds(1000)) + milliseconds(milliseconds_after);
}

TEST(BenchScheduleTest, WithoutRateACallIsDueWhenItIsAskedFor) {
  BenchSchedule schedule({.duration = seconds(1)}, At(0));
  const auto first = schedule.Next(At(3));
  const auto second = schedule.Next(At(999));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->number, 0);
  EXPECT_EQ(first->when, At(3));
  EXPECT_EQ(second->number, 1);
  EXPECT_EQ(second->when, At(999));
  EXPECT_FALSE(schedule.Next(At(1000)));
  EXPECT_EQ(schedule.Missed(2), 0);
}

TEST(BenchScheduleTest, EndsAfterCalls) {
  BenchSchedule schedule({.calls = 2}, At(0));
  EXPECT_TRUE(schedule.endless());
  EXPECT_TRUE(schedule.Next(At(0)));
  EXPECT_TRUE(schedule.Next(At(1'000'000)));
  EXPECT_FALSE(schedule.Next(At(1'000'000)));
}

TEST(BenchScheduleTest, WithARateCallsAreDueAtFixedTimes) {
  BenchSchedule schedule({.rate = 100, .duration = seconds(1)}, At(0));
  EXPECT_EQ(schedule.Next(At(0))->when, At(0));
  EXPECT_EQ(schedule.Next(At(0))->when, At(10));
  // However late the caller is.
  EXPECT_EQ(schedule.Next(At(500))->when, At(20));
  EXPECT_EQ(schedule.Next(At(999))->number, 3);
  EXPECT_FALSE(schedule.Next(At(1000)));
  // Due were 0 ms, 10 ms, ..., 990 ms.
  EXPECT_EQ(schedule.Missed(4), 96);
}

TEST(BenchScheduleTest, WithARateTheLastCallIsDueBeforeTheEnd) {
  BenchSchedule schedule({.rate = 3, .duration = seconds(1)}, At(0));
  int calls = 0;
  while (schedule.Next(At(0))) ++calls;
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(schedule.Missed(3), 0);
}

TEST(BenchScheduleTest, WithARateCallsAreExact) {
  BenchSchedule schedule({.rate = 1000, .calls = 5}, At(0));
  int calls = 0;
  while (const auto slot = schedule.Next(At(7))) {
    EXPECT_EQ(slot->when, At(calls++));
  }
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(schedule.Missed(5), 0);
  EXPECT_EQ(schedule.Missed(3), 2);
}

TEST(BenchScheduleTest, EndsEarlierWhenTold) {
  BenchSchedule schedule({.rate = 100, .duration = seconds(10)}, At(0));
  const auto slot = schedule.Next(At(0));
  ASSERT_TRUE(slot);
  schedule.EndAt(At(55));
  // Never later again.
  schedule.EndAt(At(500));
  EXPECT_TRUE(schedule.Includes(At(54)));
  EXPECT_FALSE(schedule.Includes(At(55)));
  EXPECT_FALSE(schedule.Next(At(55)));
  // Due were 0, 10, ..., 50 ms.
  EXPECT_EQ(schedule.Missed(1), 5);
}

// The caller that ends it may have looked at the clock before others sent.
TEST(BenchScheduleTest, AnEndBeforeWhatWasSentLeavesNothingMissed) {
  BenchSchedule schedule({.rate = 100, .duration = seconds(10)}, At(0));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(schedule.Next(At(20)));
  schedule.EndAt(At(15));
  // Due were 0 and 10 ms.
  EXPECT_EQ(schedule.Missed(3), 0);
}

}  // namespace
}  // namespace lossd::cli
