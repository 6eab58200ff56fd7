// Arenas of the client: their memory, and how it is found again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/arena/arena_call.h"
#include "client/arena/arena_source.h"
#include "tests/client/arena/fake_arena_server.h"
#include "tests/support/temp_dir.h"

namespace lossd {
namespace {

using client_internal::ArenaMemory;
using client_internal::ArenaSource;
using client_internal::CallArenas;
using test::FakeArenaServer;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr size_t kBytes = 10000;

// Long enough for anything but an answer that never comes.
constexpr absl::Duration kPatience = absl::Seconds(60);

class ArenaTest : public ::testing::Test {
 protected:
  ArenaTest() { source_.Adopt(server_->address()); }

  std::shared_ptr<ArenaMemory> Create(size_t bytes = kBytes) {
    auto arena = source_.Create(bytes, {});
    EXPECT_TRUE(arena.ok()) << arena.status();
    return arena.ok() ? *arena : nullptr;
  }

  std::string Path() const { return folder_ / "arenas"; }

  const test::TempDir folder_;
  std::optional<FakeArenaServer> server_{std::in_place, Path()};
  ArenaSource source_{"TARGET", kPatience};
};

TEST_F(ArenaTest, MemoryIsTheServersFile) {
  const auto arena = Create();
  ASSERT_EQ(arena->memory().size(), kBytes);
  EXPECT_TRUE(arena->shared());
  std::memset(arena->memory().data(), 7, kBytes);
  EXPECT_EQ(server_->Memory(), std::vector(kBytes, std::byte{7}));
}

// Kilobytes of the mapping from `begin` that have pages.
size_t Resident(const void* begin) {
  std::ostringstream address;
  address << std::hex << reinterpret_cast<uintptr_t>(begin) << '-';
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  while (std::getline(maps, line) && !line.starts_with(address.str())) {
  }
  while (std::getline(maps, line) && !line.starts_with("Rss:")) {
  }
  return line.empty() ? 0 : std::stoul(line.substr(4));
}

TEST_F(ArenaTest, MemoryIsThereBeforeItIsUsed) {
  constexpr size_t kMany = size_t{1} << 20;
  const auto page = Create(4096);
  if (madvise(page->memory().data(), 4096, MADV_POPULATE_WRITE) != 0) {
    GTEST_SKIP() << "the kernel does not know MADV_POPULATE_WRITE";
  }
  EXPECT_EQ(Resident(Create(kMany)->memory().data()), kMany / 1024);
}

TEST_F(ArenaTest, AllocationsAreAlignedAndEndWithTheMemory) {
  const auto arena = Create(256);
  const std::byte* const begin = arena->memory().data();
  EXPECT_EQ(*arena->Allocate(3, 4), begin);
  EXPECT_EQ(arena->allocated(), 12u);
  EXPECT_EQ(*arena->Allocate(16, 8), begin + 64);
  EXPECT_EQ(arena->allocated(), 192u);
  const absl::Status status = arena->Allocate(65, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("256"), HasSubstr("192"), HasSubstr("65 x 1")));
  // Their product would be 0.
  EXPECT_EQ(arena->Allocate(size_t{1} << 62, 8).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*arena->Allocate(64, 1), begin + 192);
  EXPECT_EQ(*arena->Allocate(0, 8), begin + 256);
  // The next one would begin behind the memory.
  const auto odd = Create(250);
  EXPECT_EQ(*odd->Allocate(250, 1), odd->memory().data());
  EXPECT_EQ(odd->Allocate(1, 1).status().code(),
            absl::StatusCode::kResourceExhausted);
  arena->Clear();
  EXPECT_EQ(arena->allocated(), 0u);
  EXPECT_EQ(*arena->Allocate(256, 1), begin);
}

TEST_F(ArenaTest, FreeTellsTheServerOnce) {
  auto arena = Create();
  arena->memory()[0] = std::byte{5};
  EXPECT_FALSE(arena->freed());
  EXPECT_EQ(arena->Free(), absl::OkStatus());
  EXPECT_TRUE(arena->freed());
  EXPECT_EQ(arena->Free(), absl::OkStatus());
  EXPECT_EQ(arena->memory()[0], std::byte{5});
  EXPECT_EQ(arena->Allocate(1, 1).status().code(),
            absl::StatusCode::kFailedPrecondition);
  const arena::Id id = arena->id();
  arena.reset();
  const auto requests = server_->requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[1].kind, arena::Kind::kFree);
  EXPECT_EQ(requests[1].id, id);
}

TEST_F(ArenaTest, TheLastCopyFreesAndHangsUp) {
  auto first = Create();
  auto second = Create();
  EXPECT_NE(first->id(), second->id());
  auto copy = first;
  first.reset();
  EXPECT_EQ(server_->requests().size(), 2u);
  copy.reset();
  EXPECT_EQ(server_->requests().back().kind, arena::Kind::kFree);
  EXPECT_EQ(server_->connections(), 1u);
  server_->AwaitOpen(1);
  second.reset();
  server_->AwaitOpen(0);
}

TEST_F(ArenaTest, ArenasOutliveTheirSource) {
  std::optional<ArenaSource> source(std::in_place, "TARGET", kPatience);
  auto arena = source->Create(kBytes, {.address = server_->address()});
  ASSERT_TRUE(arena.ok()) << arena.status();
  source.reset();
  (*arena)->memory().back() = std::byte{1};
  EXPECT_EQ((*arena)->Free(), absl::OkStatus());
}

TEST_F(ArenaTest, RangesAreFoundByTheirAddress) {
  const auto first = Create();
  const auto second = Create();
  CallArenas arenas(source_.table());
  for (const auto& arena : {first, second}) {
    const std::byte* const begin = arena->memory().data();
    for (const auto& [offset, length] : std::vector<std::pair<size_t, size_t>>{
             {0, kBytes}, {0, 1}, {17, 4}, {kBytes - 1, 1}}) {
      const auto ref = arenas.Find("field", begin + offset, length);
      ASSERT_TRUE(ref.ok() && *ref) << ref.status();
      const auto* const id = reinterpret_cast<const char*>(arena->id().data());
      EXPECT_EQ((*ref)->id(), std::string(id, arena::kIdBytes));
      EXPECT_EQ((*ref)->offset(), offset);
      EXPECT_EQ((*ref)->length(), length);
    }
    for (const auto& [offset, length] : std::vector<std::pair<size_t, size_t>>{
             {0, kBytes + 1},
             {kBytes - 1, 2},
             {1, std::numeric_limits<size_t>::max()}}) {
      const absl::Status status =
          arenas.Find("field", begin + offset, length).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(status.message(), HasSubstr("field"));
    }
  }
}

TEST_F(ArenaTest, OtherMemoryIsNotFound) {
  const std::vector<float> ordinary(8);
  // Ends with the page, where nothing of ours is.
  const auto arena = Create();
  const auto fallen_back = source_.Create(
      kBytes, {.fall_back = true, .address = "unix:" + Path() + "/nowhere"});
  ASSERT_TRUE(fallen_back.ok()) << fallen_back.status();
  CallArenas arenas(source_.table());
  const std::byte* const begin = arena->memory().data();
  for (const void* data : std::initializer_list<const void*>{
           ordinary.data(), begin + kBytes, begin - 1,
           (*fallen_back)->memory().data()}) {
    const auto ref = arenas.Find("field", data, 4);
    ASSERT_TRUE(ref.ok()) << ref.status();
    EXPECT_FALSE(*ref);
  }
  const auto nothing = arenas.Find("field", arena->memory().data(), 0);
  EXPECT_TRUE(nothing.ok() && !*nothing);
}

TEST_F(ArenaTest, WhatACallHasFoundStays) {
  auto arena = Create();
  const std::weak_ptr<ArenaMemory> watched = arena;
  {
    CallArenas arenas(source_.table());
    ASSERT_TRUE(arenas.Find("field", arena->memory().data(), 1).ok());
    arena.reset();
    EXPECT_FALSE(watched.expired());
    EXPECT_EQ(server_->requests().size(), 1u);
  }
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(server_->requests().size(), 2u);
  EXPECT_TRUE(source_.table().empty());
}

TEST_F(ArenaTest, FreedMemoryIsRefused) {
  const auto arena = Create();
  ASSERT_EQ(arena->Free(), absl::OkStatus());
  CallArenas arenas(source_.table());
  const absl::Status status =
      arenas.Find("field", arena->memory().data(), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("field"));
}

TEST_F(ArenaTest, ManyThreads) {
  constexpr size_t kThreads = 8;
  constexpr size_t kRounds = 100;
  constexpr size_t kPiece = 64;
  const auto common = Create(kThreads * kRounds * kPiece);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (size_t round = 0; round < kRounds; ++round) {
        const auto own = Create();
        const auto place = common->Allocate(kPiece, 1);
        ASSERT_TRUE(place.ok()) << place.status();
        std::memset(*place, 1, kPiece);
        CallArenas arenas(source_.table());
        for (const void* data :
             {*place, static_cast<void*>(own->memory().data())}) {
          const auto ref = arenas.Find("field", data, kPiece);
          ASSERT_TRUE(ref.ok() && *ref) << ref.status();
        }
        if (round % 2 == 0) own->Free().IgnoreError();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(common->memory(), Each(std::byte{1}));
  EXPECT_EQ(server_->connections(), 1u);
  EXPECT_EQ(server_->requests().size(), 1 + 2 * kThreads * kRounds);
}

}  // namespace
}  // namespace lossd
