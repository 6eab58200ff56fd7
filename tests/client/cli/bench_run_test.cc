// The callers of bench, with a clock and a server of the test's own.

#include "client/cli/bench_run.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/bench_report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::cli {
namespace {

using client_internal::LoadReply;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// Time passes when somebody sleeps or the server works.
class FakeClock {
 public:
  BenchTime now() const {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void Pass(std::chrono::nanoseconds time) { SleepUntil(now() + time); }
  void SleepUntil(BenchTime time) {
    std::lock_guard lock(mutex_);
    now_ = std::max(now_, time);
  }
  BenchClock clock() {
    return {[this] { return now(); },
            [this](BenchTime time) { SleepUntil(time); }};
  }

 private:
  mutable std::mutex mutex_;
  BenchTime now_{seconds(1000)};
};

// A reply of this many items that are OK, each with loss 1.
LoadReply Reply(int items) {
  LoadReply reply;
  for (int i = 0; i < items; ++i) reply.response.add_results()->set_loss(1);
  reply.bytes = 7;
  return reply;
}

BenchCall Call(std::string request, int items = 1) {
  BenchCall call;
  call.request = std::move(request);
  call.items = items;
  call.elements = 10;
  return call;
}

class BenchRunTest : public testing::Test {
 protected:
  BenchFigures Run(const std::vector<BenchCall>& calls) {
    hooks_.clock = clock_.clock();
    return RunBench(calls, options_, hooks_);
  }

  // Every call takes so long and is OK.
  void AnswerAfter(milliseconds time) {
    hooks_.send = [this, time](int, const std::string& request) {
      clock_.Pass(time);
      std::lock_guard lock(mutex_);
      sent_.push_back(request);
      return Reply(1);
    };
  }

  FakeClock clock_;
  BenchOptions options_;
  BenchHooks hooks_{.send = {}, .stopped = [] { return false; }};
  std::mutex mutex_;
  std::vector<std::string> sent_;
};

TEST_F(BenchRunTest, CallsTakeTurns) {
  options_.load.calls = 5;
  AnswerAfter(milliseconds(1));
  const BenchFigures figures = Run({Call("a"), Call("bb")});
  EXPECT_THAT(sent_, ElementsAre("a", "bb", "a", "bb", "a"));
  EXPECT_EQ(figures.calls, 5);
  EXPECT_EQ(figures.failed, 0);
  EXPECT_EQ(figures.items, 5);
  EXPECT_EQ(figures.elements, 50);
  EXPECT_EQ(figures.sent_bytes, 1 + 2 + 1 + 2 + 1);
  EXPECT_EQ(figures.received_bytes, 5 * 7);
  EXPECT_EQ(figures.length, milliseconds(5));
  EXPECT_EQ(figures.latencies.max(), milliseconds(1));
}

TEST_F(BenchRunTest, CallersShareTheCalls) {
  options_.callers = 8;
  options_.load.calls = 1000;
  AnswerAfter(milliseconds(0));
  EXPECT_EQ(Run({Call("a")}).calls, 1000);
  EXPECT_EQ(sent_.size(), 1000U);
}

TEST_F(BenchRunTest, WithoutRateALatencyIsThatOfTheCallAlone) {
  options_.load.duration = milliseconds(100);
  AnswerAfter(milliseconds(30));
  const BenchFigures figures = Run({Call("a")});
  EXPECT_EQ(figures.calls, 4);
  EXPECT_EQ(figures.latencies.min(), milliseconds(30));
  EXPECT_EQ(figures.latencies.max(), milliseconds(30));
  EXPECT_EQ(figures.missed, 0);
}

// The calls that wait behind a slow one are slow, too: this is what a load
// generator that omits them would not show.
TEST_F(BenchRunTest, WithARateLatencyCountsFromWhenTheCallWasDue) {
  options_.load.rate = 100;
  options_.load.duration = milliseconds(100);
  int call = 0;
  hooks_.send = [&](int, const std::string&) {
    clock_.Pass(milliseconds(call++ == 0 ? 35 : 1));
    return Reply(1);
  };
  const BenchFigures figures = Run({Call("a")});
  EXPECT_EQ(figures.calls, 10);
  EXPECT_EQ(figures.missed, 0);
  // 35, then due at 10, 20, 30 and sent at 35, 36, 37: 26, 17, 8; then 1 each.
  EXPECT_EQ(figures.latencies.max(), milliseconds(35));
  EXPECT_EQ(figures.latencies.min(), milliseconds(1));
  const auto at_least = [](milliseconds latency) {
    return testing::AllOf(
        testing::Ge(latency),
        testing::Le(latency + std::chrono::microseconds(100)));
  };
  EXPECT_THAT(figures.latencies.Quantile(900), at_least(milliseconds(26)));
  EXPECT_THAT(figures.latencies.Quantile(800), at_least(milliseconds(17)));
  EXPECT_THAT(figures.latencies.Quantile(700), at_least(milliseconds(8)));
  EXPECT_THAT(figures.latencies.Quantile(600), at_least(milliseconds(1)));
}

TEST_F(BenchRunTest, WhatNobodyHadTimeForIsMissed) {
  options_.load.rate = 100;
  options_.load.duration = milliseconds(100);
  AnswerAfter(milliseconds(40));
  const BenchFigures figures = Run({Call("a")});
  EXPECT_EQ(figures.calls, 3);
  EXPECT_EQ(figures.missed, 7);
}

TEST_F(BenchRunTest, FailuresAreCountedByCodeAndHaveNoLatency) {
  options_.load.calls = 4;
  int call = 0;
  hooks_.send = [&](int, const std::string&) -> absl::StatusOr<LoadReply> {
    clock_.Pass(milliseconds(1));
    LoadReply reply = Reply(2);
    switch (call++) {
      case 0:
        return absl::InternalError("broken");
      case 1:
        reply.response.mutable_results(1)->mutable_status()->set_code(3);
        return reply;
      case 2:
        return Reply(1);
      default:
        return reply;
    }
  };
  const BenchFigures figures = Run({Call("a", 2)});
  EXPECT_EQ(figures.calls, 4);
  EXPECT_EQ(figures.failed, 3);
  EXPECT_THAT(figures.errors, ElementsAre(Pair("INTERNAL", 2)));
  EXPECT_THAT(figures.item_errors, ElementsAre(Pair("INVALID_ARGUMENT", 1)));
  EXPECT_EQ(figures.items, 1 + 2);
  EXPECT_EQ(figures.latencies.count(), 1);
  EXPECT_THAT(
      BenchComplaint(figures),
      HasSubstr("3 of 4 calls failed, the first with INTERNAL: broken"));
}

TEST_F(BenchRunTest, AnswersThatDifferAreCounted) {
  BenchCall call = Call("a", 2);
  call.expected.resize(2);
  call.expected[0].set_loss(1);
  call.expected[1].set_loss(1);
  options_.load.calls = 3;
  hooks_.send = [](int, const std::string&) { return Reply(2); };
  EXPECT_EQ(Run({call}).differing, 0);
  call.expected[1].set_loss(1 + 1e-15);
  const BenchFigures figures = Run({call});
  EXPECT_EQ(figures.differing, 3);
  EXPECT_EQ(figures.failed, 0);
  EXPECT_THAT(BenchComplaint(figures),
              HasSubstr("3 of 3 calls have answers whose bits are not"));
}

TEST_F(BenchRunTest, ACallerPausesWhenTheServerIsGone) {
  options_.load.duration = seconds(10);
  std::vector<BenchTime> times;
  hooks_.send = [&](int, const std::string&) -> absl::StatusOr<LoadReply> {
    times.push_back(clock_.now());
    if (times.size() == 10) return Reply(1);
    if (times.size() == 12) clock_.Pass(seconds(100));
    return absl::UnavailableError("gone");
  };
  const BenchFigures figures = Run({Call("a")});
  std::vector<int64_t> pauses;
  for (size_t i = 1; i < times.size(); ++i) {
    pauses.push_back(
        std::chrono::duration_cast<milliseconds>(times[i] - times[i - 1])
            .count());
  }
  // Doubled to a second; from the beginning after an answer.
  EXPECT_THAT(pauses,
              ElementsAre(10, 20, 40, 80, 160, 320, 640, 1000, 1000, 0, 10));
  EXPECT_THAT(figures.errors, ElementsAre(Pair("UNAVAILABLE", 11)));
  EXPECT_FALSE(figures.gave_up);
}

TEST_F(BenchRunTest, CallsWithoutEndAreGivenUpWhenTheServerIsGone) {
  options_.load.calls = 1'000'000;
  options_.patience = seconds(5);
  bool gone = false;
  hooks_.send = [&](int, const std::string&) -> absl::StatusOr<LoadReply> {
    if (gone) return absl::UnavailableError("gone");
    // Answers however slow, and refusals, are no reason to give up.
    clock_.Pass(seconds(60));
    gone = true;
    return absl::InternalError("broken");
  };
  const BenchFigures figures = Run({Call("a")});
  EXPECT_TRUE(figures.gave_up);
  EXPECT_GE(figures.length, seconds(65));
  EXPECT_LT(figures.length, seconds(67));
  EXPECT_THAT(BenchComplaint(figures), HasSubstr("gave up"));
}

TEST_F(BenchRunTest, EndsWithTheFiguresSoFarWhenStopped) {
  options_.callers = 3;
  std::atomic<int> calls = 0;
  hooks_.send = [&](int, const std::string&) {
    ++calls;
    return Reply(1);
  };
  hooks_.stopped = [&] { return calls >= 20; };
  options_.load.calls = 1'000'000;
  const BenchFigures figures = Run({Call("a")});
  EXPECT_EQ(figures.calls, calls);
  EXPECT_GE(figures.calls, 20);
  EXPECT_LT(figures.calls, 23);
  EXPECT_THAT(BenchComplaint(figures), IsEmpty());
}

// Not only when the call is due, in 1000 s.
TEST_F(BenchRunTest, StopsWhileItWaits) {
  options_.load = {.rate = 1e-3, .calls = 2};
  hooks_.send = [](int, const std::string&) { return Reply(1); };
  const BenchTime stop = clock_.now() + seconds(3);
  hooks_.stopped = [&] { return clock_.now() >= stop; };
  const BenchFigures figures = Run({Call("a")});
  EXPECT_EQ(figures.calls, 1);
  EXPECT_EQ(figures.missed, 0);
  EXPECT_LT(figures.length, seconds(4));
}

}  // namespace
}  // namespace lossd::cli
