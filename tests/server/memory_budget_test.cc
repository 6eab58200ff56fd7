#include "server/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Reservation = MemoryBudget::Reservation;

// Those who wait, by name, in the order they were called.
class Callers {
 public:
  // Keeps what it gets.
  MemoryBudget::Ready Keep(const std::string& name) {
    return [this, name](Reservation reservation) {
      called.push_back(name);
      kept.push_back(std::move(reservation));
    };
  }

  std::vector<std::string> called;
  // A deque, since giving one back may add another.
  std::deque<Reservation> kept;
};

TEST(MemoryBudgetTest, ReservesWhatThereIsAndTakesItBack) {
  MemoryBudget budget(100, 4);
  {
    const auto first = budget.TryReserve(60);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->bytes(), 60);
    EXPECT_FALSE(budget.TryReserve(41).has_value());
    EXPECT_TRUE(budget.TryReserve(40).has_value());
    EXPECT_EQ(budget.figures().reserved, 60);
  }
  EXPECT_EQ(budget.figures().reserved, 0);
  EXPECT_EQ(budget.figures().budget, 100);
  EXPECT_EQ(budget.figures().high_water, 100);
  EXPECT_FALSE(budget.TryReserve(101).has_value());
}

TEST(MemoryBudgetTest, WhoHasSomeNeedNotWaitForOthers) {
  MemoryBudget budget(100, 4);
  Callers callers;
  auto some = budget.TryReserve(60);
  ASSERT_THAT(budget.Wait(50, callers.Keep("a")), IsOk());
  EXPECT_FALSE(budget.TryReserve(10).has_value());
  EXPECT_FALSE(budget.TryReserveMore(41).has_value());
  auto more = budget.TryReserveMore(40);
  ASSERT_TRUE(more.has_value());
  some->Add(*std::move(more));
  EXPECT_EQ(some->bytes(), 100);
  EXPECT_EQ(budget.figures().reserved, 100);
  some->Shrink(0);
  EXPECT_THAT(callers.called, ElementsAre("a"));
  EXPECT_EQ(budget.figures().reserved, 50);
}

TEST(MemoryBudgetTest, AReservationShrinksAndSplits) {
  MemoryBudget budget(100, 4);
  auto request = budget.TryReserve(100);
  request->Shrink(70);
  EXPECT_EQ(request->bytes(), 70);
  EXPECT_EQ(budget.figures().reserved, 70);
  Reservation reply = request->Split(50);
  EXPECT_EQ(request->bytes(), 20);
  EXPECT_EQ(reply.bytes(), 50);
  EXPECT_EQ(budget.figures().reserved, 70);
  request.reset();
  EXPECT_EQ(budget.figures().reserved, 50);
  std::thread([sent = std::move(reply)] {}).join();
  EXPECT_EQ(budget.figures().reserved, 0);
}

TEST(MemoryBudgetTest, MovingCountsNothingTwice) {
  MemoryBudget budget(100, 4);
  Reservation a = *budget.TryReserve(10);
  Reservation b = *budget.TryReserve(20);
  a = std::move(b);
  EXPECT_EQ(a.bytes(), 20);
  EXPECT_EQ(b.bytes(), 0);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(budget.figures().reserved, 20);
  a = Reservation();
  EXPECT_EQ(budget.figures().reserved, 0);
}

TEST(MemoryBudgetTest, WhoWaitsIsCalledInTurnByWhoReleases) {
  MemoryBudget budget(100, 4);
  Callers callers;
  Reservation holder = *budget.TryReserve(100);
  ASSERT_THAT(budget.Wait(50, callers.Keep("a")), IsOk());
  ASSERT_THAT(budget.Wait(40, callers.Keep("b")), IsOk());
  ASSERT_THAT(budget.Wait(30, callers.Keep("c")), IsOk());
  EXPECT_EQ(budget.figures().waiting, 3U);
  // Enough for c, but a came first.
  holder.Shrink(70);
  EXPECT_THAT(callers.called, IsEmpty());
  holder.Shrink(5);
  EXPECT_THAT(callers.called, ElementsAre("a", "b"));
  EXPECT_EQ(callers.kept[0].bytes(), 50);
  EXPECT_EQ(budget.figures().reserved, 95);
  EXPECT_EQ(budget.figures().waiting, 1U);
  callers.kept[1].Shrink(0);
  EXPECT_THAT(callers.called, ElementsAre("a", "b", "c"));
  EXPECT_EQ(budget.figures().reserved, 85);
}

TEST(MemoryBudgetTest, NobodyOvertakesWhoWaits) {
  MemoryBudget budget(100, 4);
  Callers callers;
  Reservation holder = *budget.TryReserve(10);
  ASSERT_THAT(budget.Wait(100, callers.Keep("large")), IsOk());
  EXPECT_FALSE(budget.TryReserve(1).has_value());
  ASSERT_THAT(budget.Wait(1, callers.Keep("small")), IsOk());
  EXPECT_THAT(callers.called, IsEmpty());
  holder.Shrink(0);
  EXPECT_THAT(callers.called, ElementsAre("large"));
  callers.kept.front().Shrink(0);
  EXPECT_THAT(callers.called, ElementsAre("large", "small"));
}

TEST(MemoryBudgetTest, NoBytesAreAlwaysThere) {
  MemoryBudget budget(100, 1);
  Callers callers;
  const Reservation holder = *budget.TryReserve(100);
  ASSERT_THAT(budget.Wait(1, callers.Keep("something")), IsOk());
  EXPECT_TRUE(budget.TryReserve(0).has_value());
  EXPECT_THAT(budget.Wait(0, callers.Keep("nothing")), IsOk());
  EXPECT_THAT(callers.called, ElementsAre("nothing"));
}

TEST(MemoryBudgetTest, WaitIsReadyAtOnceWhileThereIsRoom) {
  MemoryBudget budget(100, 0);
  Callers callers;
  const auto ticket = budget.Wait(100, callers.Keep("a"));
  ASSERT_THAT(ticket, IsOk());
  EXPECT_THAT(callers.called, ElementsAre("a"));
  EXPECT_FALSE(budget.Cancel(*ticket));
  EXPECT_EQ(budget.figures().reserved, 100);
}

TEST(MemoryBudgetTest, RefusalsDiffer) {
  MemoryBudget budget(100, 1);
  Callers callers;
  const Reservation holder = *budget.TryReserve(100);
  EXPECT_THAT(budget.Wait(101, callers.Keep("too large")),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("101 bytes"), HasSubstr("100 bytes"))));
  ASSERT_THAT(budget.Wait(1, callers.Keep("a")), IsOk());
  EXPECT_THAT(
      budget.Wait(1, callers.Keep("too many")),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("1 requests")));
  EXPECT_EQ(budget.figures().waiting, 1U);
}

TEST(MemoryBudgetTest, WhoWouldWaitInVainIsRefused) {
  MemoryBudget::Clock::time_point now(std::chrono::hours(1));
  MemoryBudget budget(100, 9, [&now] { return now; });
  Callers callers;
  Reservation holder = *budget.TryReserve(100);
  const auto wait = [&](int64_t bytes) {
    return budget.Wait(bytes, callers.Keep("a"));
  };
  // 30 bytes come back in the time that the first one waits, and are taken.
  const auto first = wait(50);
  ASSERT_THAT(wait(20), IsOk());
  holder.Shrink(70);
  holder.Add(*budget.TryReserveMore(30));
  now += MemoryBudget::kLongestWait;
  budget.GiveUp(*first);

  EXPECT_THAT(wait(10), IsOk());
  EXPECT_THAT(wait(1), StatusIs(absl::StatusCode::kUnavailable,
                                HasSubstr("2 requests")));
  // There is room for it when those before it have given up.
  holder.Shrink(99);
  EXPECT_THAT(wait(1), IsOk());
  EXPECT_FALSE(wait(2).ok());
  // When nobody has given up for a second, all may wait again.
  now += std::chrono::seconds(1);
  EXPECT_THAT(wait(2), IsOk());
}

TEST(MemoryBudgetTest, WhoCancelsIsNotCalled) {
  MemoryBudget budget(100, 2);
  Callers callers;
  Reservation holder = *budget.TryReserve(100);
  const auto a = budget.Wait(10, callers.Keep("a"));
  const auto b = budget.Wait(20, callers.Keep("b"));
  EXPECT_TRUE(budget.Cancel(*a));
  EXPECT_FALSE(budget.Cancel(*a));
  EXPECT_EQ(budget.figures().waiting, 1U);
  holder.Shrink(0);
  EXPECT_THAT(callers.called, ElementsAre("b"));
  EXPECT_FALSE(budget.Cancel(*b));
}

TEST(MemoryBudgetTest, CancellingTheFirstLetsTheNextIn) {
  MemoryBudget budget(100, 4);
  Callers callers;
  const Reservation holder = *budget.TryReserve(50);
  const auto large = budget.Wait(100, callers.Keep("large"));
  ASSERT_THAT(budget.Wait(50, callers.Keep("small")), IsOk());
  EXPECT_TRUE(budget.Cancel(*large));
  EXPECT_THAT(callers.called, ElementsAre("small"));
}

// Everything a `ready` may do: it holds no lock.
TEST(MemoryBudgetTest, ReadyMayUseTheBudget) {
  MemoryBudget budget(100, 4);
  Callers callers;
  Reservation holder = *budget.TryReserve(100);
  ASSERT_THAT(budget.Wait(100,
                          [&](Reservation reservation) {
                            callers.called.emplace_back("first");
                            EXPECT_THAT(budget.Wait(60, callers.Keep("second")),
                                        IsOk());
                            reservation.Shrink(0);
                            // Has been admitted, and is called after this one.
                            EXPECT_EQ(budget.figures().reserved, 60);
                            callers.called.emplace_back("first ends");
                          }),
              IsOk());
  holder.Shrink(0);
  EXPECT_THAT(callers.called, ElementsAre("first", "first ends", "second"));
}

TEST(MemoryBudgetTest, AChainOfReleasesNeedsNoStack) {
  constexpr int kWaiting = 200'000;
  MemoryBudget budget(1, kWaiting);
  int called = 0;
  Reservation holder = *budget.TryReserve(1);
  for (int i = 0; i < kWaiting; ++i) {
    ASSERT_THAT(budget.Wait(1, [&called](const Reservation&) { ++called; }),
                IsOk());
  }
  holder.Shrink(0);
  EXPECT_EQ(called, kWaiting);
  EXPECT_EQ(budget.figures().reserved, 0);
}

TEST(MemoryBudgetTest, AReservationMayOutliveItsBudget) {
  Callers callers;
  Reservation left;
  {
    MemoryBudget budget(100, 4);
    left = *budget.TryReserve(100);
    ASSERT_THAT(budget.Wait(10, callers.Keep("dropped")), IsOk());
  }
  left.Shrink(0);
  EXPECT_THAT(callers.called, IsEmpty());
}

TEST(MemoryBudgetTest, ManyThreadsNeverGetMoreThanThereIs) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 3000;
  MemoryBudget budget(100, 8);
  std::atomic<int64_t> held = 0;
  std::atomic<int> waited = 0;
  std::atomic<int> called = 0;
  std::atomic<int> cancelled = 0;
  // Passed on between threads, as replies are.
  std::mutex mutex;
  std::vector<Reservation> sent;
  const auto hold = [&](Reservation reservation) {
    EXPECT_LE(held += reservation.bytes(), 100);
    Reservation reply = reservation.Split(reservation.bytes() / 2);
    held -= reservation.bytes();
    reservation.Shrink(0);
    const std::lock_guard lock(mutex);
    sent.push_back(std::move(reply));
  };
  const auto send_all = [&] {
    std::vector<Reservation> now;
    {
      const std::lock_guard lock(mutex);
      now.swap(sent);
    }
    for (Reservation& reply : now) {
      held -= reply.bytes();
      reply.Shrink(0);
    }
    return !now.empty();
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int i = 0; i < kRounds; ++i) {
        const auto bytes = static_cast<int64_t>(random() % 101);
        if (auto reservation = budget.TryReserve(bytes)) {
          hold(*std::move(reservation));
        }
        const auto ticket = budget.Wait(bytes, [&](Reservation reservation) {
          ++called;
          hold(std::move(reservation));
        });
        if (ticket.ok()) {
          ++waited;
          if (i % 3 == 0 && budget.Cancel(*ticket)) ++cancelled;
        }
        if (i % 2 == 0) send_all();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // What is sent lets others in, whose replies are to be sent then.
  while (send_all()) {
  }
  EXPECT_EQ(called + cancelled, waited);
  EXPECT_GT(cancelled, 0);
  const MemoryBudget::Figures figures = budget.figures();
  EXPECT_EQ(figures.reserved, 0);
  EXPECT_EQ(figures.waiting, 0U);
  EXPECT_LE(figures.high_water, 100);
}

TEST(MemoryBudgetTest, BytesOfAShareGoBackToIt) {
  MemoryBudget budget(100, 0);
  const auto share = std::make_shared<MemoryShare>();
  share->Resize(60);
  EXPECT_FALSE(share->Take(61));
  ASSERT_TRUE(share->Take(50));
  EXPECT_FALSE(share->Take(11));
  {
    auto reservation = budget.TryReserve(50);
    ASSERT_TRUE(reservation.has_value());
    reservation->BelongTo(share);
    EXPECT_EQ(reservation->share(), share.get());
    reservation->Shrink(40);
    EXPECT_EQ(share->taken(), 40);
    {
      const auto part = reservation->Split(10);
      EXPECT_EQ(share->taken(), 40);
    }
    EXPECT_EQ(share->taken(), 30);
    ASSERT_TRUE(share->Take(5));
    reservation->Add(*budget.TryReserveMore(5));
    MemoryBudget::Reservation moved = *std::move(reservation);
    EXPECT_EQ(share->taken(), 35);
    moved = MemoryBudget::Reservation();
    EXPECT_EQ(share->taken(), 0);
  }
  EXPECT_EQ(share->taken(), 0);
  EXPECT_EQ(budget.figures().reserved, 0);
}

TEST(MemoryBudgetTest, AShareThatShrinksWaitsForWhatIsTaken) {
  MemoryShare share;
  share.Resize(100);
  ASSERT_TRUE(share.Take(80));
  share.Resize(50);
  EXPECT_FALSE(share.Take(1));
  share.Return(40);
  EXPECT_TRUE(share.Take(10));
  EXPECT_FALSE(share.Take(1));
}

}  // namespace
}  // namespace lossd
