#include "server/arena/arena_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/server/arena/arena_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unix_sockets.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsNull;
using ::testing::NotNull;

constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kNotFound = absl::StatusCode::kNotFound;
constexpr int64_t kPage = 4096;
constexpr int64_t kPlenty = int64_t{1} << 30;
constexpr ArenaLimits kWide = {100, kPlenty, 100, kPlenty};

std::string Text(const arena::Id& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

void WaitForReturn(const ArenaRegistry& registry, int64_t bytes = 0) {
  WaitUntil([&] { return registry.figures().bytes == bytes; });
}

TEST(ArenaRegistryTest, FindsWhatItCreatedUntilThatIsFreed) {
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(kWide, budget);
  auto granted = registry.Create(1, kPage);
  ASSERT_THAT(granted, IsOk());
  EXPECT_EQ(granted->arena->memory().size(), kPage);
  EXPECT_EQ(registry.Find(Text(granted->id)), granted->arena);
  EXPECT_EQ(registry.figures().arenas, 1U);
  EXPECT_EQ(registry.figures().bytes, kPage);
  EXPECT_EQ(budget.figures().reserved, kPage);
  EXPECT_THAT(registry.Free(1, granted->id), IsOk());
  EXPECT_THAT(registry.Find(Text(granted->id)), IsNull());
  EXPECT_THAT(registry.Free(1, granted->id),
              StatusIs(kNotFound, HasSubstr("no arena with this id")));
  EXPECT_EQ(registry.figures().arenas, 0U);
  granted->arena.reset();
  WaitForReturn(registry);
  EXPECT_EQ(budget.figures().reserved, 0);
  EXPECT_EQ(registry.figures().created, 1U);
  EXPECT_EQ(registry.figures().refused, 0U);
}

TEST(ArenaRegistryTest, IdsThatNoArenaHas) {
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(kWide, budget);
  const auto granted = registry.Create(1, 1);
  ASSERT_THAT(granted, IsOk());
  const std::string id = Text(granted->id);
  for (const std::string& text :
       {std::string(), id.substr(1), id + "x", std::string(16, '\0'),
        id.substr(1) + static_cast<char>(id[0] ^ 1)}) {
    EXPECT_THAT(registry.Find(text), IsNull());
  }
  const auto other = registry.Create(1, 1);
  ASSERT_THAT(other, IsOk());
  EXPECT_NE(granted->id, other->id);
}

TEST(ArenaRegistryTest, NobodyFreesWhatIsNotHis) {
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(kWide, budget);
  const auto granted = registry.Create(1, kPage);
  ASSERT_THAT(granted, IsOk());
  const absl::Status others = registry.Free(2, granted->id);
  const absl::Status unknown = registry.Free(2, {});
  EXPECT_THAT(others, StatusIs(kNotFound, HasSubstr("no arena")));
  // As if there were none.
  EXPECT_EQ(others, unknown);
  EXPECT_EQ(registry.FreeAll(2).arenas, 0U);
  EXPECT_THAT(registry.Find(Text(granted->id)), NotNull());
}

TEST(ArenaRegistryTest, FreesAllOfOneOwner) {
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(kWide, budget);
  for (int i = 0; i < 3; ++i) EXPECT_THAT(registry.Create(1, kPage), IsOk());
  const auto other = registry.Create(2, kPage);
  ASSERT_THAT(other, IsOk());
  const ArenaRegistry::Freed freed = registry.FreeAll(1);
  EXPECT_EQ(freed.arenas, 3U);
  EXPECT_EQ(freed.bytes, 3 * kPage);
  EXPECT_EQ(registry.figures().arenas, 1U);
  EXPECT_THAT(registry.Find(Text(other->id)), NotNull());
  WaitForReturn(registry, kPage);
  EXPECT_EQ(budget.figures().reserved, kPage);
}

TEST(ArenaRegistryTest, SizesThatNoArenaHas) {
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(kWide, budget);
  for (const uint64_t bytes :
       {uint64_t{0}, arena::kMaxArenaBytes + 1, ~uint64_t{0}}) {
    EXPECT_THAT(registry.Create(1, bytes),
                StatusIs(kInvalid, HasSubstr("allowed is 1 to ")));
  }
  EXPECT_EQ(registry.figures().refused, 3U);
  EXPECT_THAT(registry.Create(1, arena::kMaxArenaBytes),
              StatusIs(kExhausted, HasSubstr("bytes")));
}

TEST(ArenaRegistryTest, EachLimitIsNamed) {
  const ArenaLimits limits = {
      .arenas_per_owner = 2, .bytes_per_owner = 300, .arenas = 3, .bytes = 500};
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(limits, budget);
  ASSERT_THAT(registry.Create(1, 200), IsOk());
  EXPECT_THAT(registry.Create(1, 101),
              StatusIs(kExhausted,
                       "bytes of this connection's arenas: 200 of 300 taken, "
                       "101 wanted"));
  ASSERT_THAT(registry.Create(1, 100), IsOk());
  EXPECT_THAT(registry.Create(1, 1),
              StatusIs(kExhausted,
                       "arenas of this connection: 2 of 2 taken, 1 wanted"));
  EXPECT_THAT(registry.Create(2, 201),
              StatusIs(kExhausted,
                       "bytes of all arenas: 300 of 500 taken, 201 wanted"));
  ASSERT_THAT(registry.Create(2, 200), IsOk());
  EXPECT_THAT(registry.Create(3, 1),
              StatusIs(kExhausted, "arenas: 3 of 3 taken, 1 wanted"));
  EXPECT_EQ(registry.figures().created, 3U);
  EXPECT_EQ(registry.figures().refused, 4U);
  EXPECT_EQ(registry.figures().bytes, 500);
}

TEST(ArenaRegistryTest, TheMemoryBudgetIsALimitToo) {
  MemoryBudget budget(3 * kPage, 1);
  ArenaRegistry registry(kWide, budget);
  const auto first = registry.Create(1, 2 * kPage);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(registry.Create(1, 2 * kPage),
              StatusIs(kExhausted,
                       "bytes of the memory budget: 8192 of 12288 taken, 0 "
                       "requests waiting, 8192 wanted"));
  // What was refused counts no longer.
  EXPECT_EQ(registry.figures().bytes, 2 * kPage);
  ASSERT_THAT(budget.Wait(2 * kPage, [](MemoryBudget::Reservation) {}), IsOk());
  EXPECT_THAT(registry.Create(1, 1),
              StatusIs(kExhausted, HasSubstr("1 requests waiting")));
}

TEST(ArenaRegistryTest, WhatTheKernelRefusesCountsNoLonger) {
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(kWide, budget);
  EXPECT_THAT(
      WithoutDescriptors([&] { return registry.Create(1, kPage).status(); }),
      StatusIs(kExhausted, HasSubstr("open files")));
  EXPECT_EQ(registry.figures().bytes, 0);
  EXPECT_EQ(budget.figures().reserved, 0);
  EXPECT_THAT(registry.Create(1, kPage), IsOk());
}

TEST(ArenaRegistryTest, WhatIsFreedAndStillUsedCounts) {
  const ArenaLimits limits = {1, kPage, 1, kPage};
  MemoryBudget budget(kPlenty, 0);
  ArenaRegistry registry(limits, budget);
  std::shared_ptr<Arena> used;
  {
    auto granted = registry.Create(1, kPage);
    ASSERT_THAT(granted, IsOk());
    used = registry.Find(Text(granted->id));
    ASSERT_THAT(registry.Free(1, granted->id), IsOk());
  }
  EXPECT_EQ(registry.figures().arenas, 0U);
  EXPECT_EQ(registry.figures().bytes, kPage);
  EXPECT_THAT(registry.Create(1, kPage),
              StatusIs(kExhausted, HasSubstr("1 of 1 taken")));
  used->memory()[0] = std::byte{1};
  const Descriptor file = Duplicate(used->descriptor());
  EXPECT_EQ(BytesInMemory(file.number()), kPage);
  used.reset();
  WaitForReturn(registry);
  EXPECT_EQ(BytesInMemory(file.number()), 0);
  EXPECT_THAT(registry.Create(1, kPage), IsOk());
}

// A client that makes room for a larger arena need not try again.
TEST(ArenaRegistryTest, WhatIsJustBeingReturnedIsWaitedFor) {
  constexpr int64_t kBytes = int64_t{16} << 20;
  MemoryBudget budget(kBytes, 0);
  ArenaRegistry by_budget(kWide, budget);
  MemoryBudget plenty(kPlenty, 0);
  ArenaRegistry by_limit({1, kBytes, 1, kBytes}, plenty);
  for (ArenaRegistry* registry : {&by_budget, &by_limit}) {
    for (int i = 0; i < 20; ++i) {
      const arena::Id id = [&] {
        auto granted = registry->Create(1, kBytes);
        EXPECT_THAT(granted, IsOk()) << i;
        return granted.ok() ? granted->id : arena::Id();
      }();
      ASSERT_THAT(registry->Free(1, id), IsOk());
    }
  }
}

TEST(ArenaRegistryTest, PagesMayBeLeftToClients) {
  MemoryBudget budget(kPlenty, 0);
  Descriptor file;
  {
    ArenaRegistry registry(kWide, budget);
    const auto granted = registry.Create(1, kPage);
    ASSERT_THAT(granted, IsOk());
    granted->arena->memory()[0] = std::byte{7};
    file = Duplicate(granted->arena->descriptor());
    registry.LeavePages();
  }
  EXPECT_EQ(budget.figures().reserved, 0);
  std::byte byte{};
  ASSERT_EQ(pread(file.number(), &byte, 1, 0), 1);
  EXPECT_EQ(byte, std::byte{7});
}

TEST(ArenaRegistryTest, WhoLetsGoLastDoesNotReturnThePages) {
  MemoryBudget budget(kPage, 1);
  ArenaRegistry registry(kWide, budget);
  auto granted = registry.Create(1, kPage);
  ASSERT_THAT(granted, IsOk());
  // Called by the thread that returns the arena's reservation.
  std::atomic<std::thread::id> returned_by;
  ASSERT_THAT(budget.Wait(kPage,
                          [&](MemoryBudget::Reservation) {
                            returned_by = std::this_thread::get_id();
                          }),
              IsOk());
  ASSERT_THAT(registry.Free(1, granted->id), IsOk());
  granted->arena.reset();
  WaitUntil([&] { return returned_by.load() != std::thread::id(); });
  EXPECT_NE(returned_by.load(), std::this_thread::get_id());
}

TEST(ArenaRegistryTest, ItsEndWaitsForWhoStillUsesAnArena) {
  MemoryBudget budget(kPlenty, 0);
  auto registry = std::make_unique<ArenaRegistry>(kWide, budget);
  auto granted = registry->Create(1, kPage);
  ASSERT_THAT(granted, IsOk());
  const Descriptor file = Duplicate(granted->arena->descriptor());
  std::atomic<bool> used = false;
  std::thread user([&used, &registry_in_use = *registry, id = granted->id,
                    arena = std::move(granted->arena)]() mutable {
    // Its end has begun, and has had time to go on.
    WaitUntil([&] { return registry_in_use.Find(Text(id)) == nullptr; });
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    arena->memory()[0] = std::byte{1};
    used = true;
    arena.reset();
  });
  registry.reset();
  EXPECT_TRUE(used);
  EXPECT_EQ(BytesInMemory(file.number()), 0);
  EXPECT_EQ(budget.figures().reserved, 0);
  user.join();
}

TEST(ArenaRegistryTest, ManyThreadsLeaveNothingBehind) {
  constexpr unsigned kThreads = 4;
  constexpr int kRounds = 300;
  const ArenaLimits limits = {4, 8 * kPage, 10, 16 * kPage};
  MemoryBudget budget(12 * kPage, 0);
  const size_t descriptors = test::OpenDescriptors();
  {
    ArenaRegistry registry(limits, budget);
    std::atomic<uint64_t> created = 0;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::minstd_rand random(t + 1);
        for (int i = 0; i < kRounds; ++i) {
          auto granted = registry.Create(t, 1 + random() % (4 * kPage));
          const ArenaRegistry::Figures figures = registry.figures();
          EXPECT_LE(figures.arenas, limits.arenas);
          EXPECT_LE(figures.bytes, limits.bytes);
          if (!granted.ok()) {
            registry.FreeAll(t);
            continue;
          }
          ++created;
          const auto found = registry.Find(Text(granted->id));
          ASSERT_THAT(found, NotNull());
          found->memory().back() = std::byte{1};
          if (i % 3 != 0) continue;
          EXPECT_THAT(registry.Free(t, granted->id), IsOk());
        }
        registry.FreeAll(t);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(created, 0U);
    const ArenaRegistry::Figures figures = registry.figures();
    EXPECT_EQ(figures.created, created);
    EXPECT_EQ(figures.created + figures.refused, kThreads * kRounds);
    EXPECT_EQ(figures.arenas, 0U);
    WaitForReturn(registry);
  }
  EXPECT_EQ(budget.figures().reserved, 0);
  EXPECT_EQ(test::OpenDescriptors(), descriptors);
}

}  // namespace
}  // namespace lossd
