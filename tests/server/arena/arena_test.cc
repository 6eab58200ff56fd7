#include "server/arena/arena.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "tests/server/arena/arena_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/unix_sockets.h"

namespace lossd {
namespace {

using test::OpenDescriptors;

using ::testing::HasSubstr;

constexpr int64_t kPage = 4096;
constexpr int64_t kBytes = 64 * kPage;

std::unique_ptr<Arena> Make(int64_t bytes = kBytes) {
  auto arena = Arena::Create(static_cast<size_t>(bytes), {});
  EXPECT_THAT(arena, IsOk());
  return *std::move(arena);
}

bool AllAre(std::span<const std::byte> bytes, int value) {
  return std::all_of(bytes.begin(), bytes.end(), [value](std::byte byte) {
    return std::to_integer<int>(byte) == value;
  });
}

TEST(ArenaTest, AllMemoryIsThereBeforeItIsTouched) {
  const auto arena = Make(kBytes - 1);
  EXPECT_EQ(arena->memory().size(), kBytes - 1);
  EXPECT_EQ(BytesInMemory(arena->descriptor()), kBytes);
  struct stat status = {};
  ASSERT_EQ(fstat(arena->descriptor(), &status), 0);
  EXPECT_EQ(status.st_size, kBytes - 1);
  EXPECT_EQ(fcntl(arena->descriptor(), F_GETFD), FD_CLOEXEC);
  EXPECT_TRUE(AllAre(arena->memory(), 0));
}

TEST(ArenaTest, ItIsTheSameMemoryOnBothSides) {
  const auto arena = Make();
  const Mapping client(arena->descriptor());
  ASSERT_EQ(client.bytes().size(), kBytes);
  std::fill(client.bytes().begin(), client.bytes().end(), std::byte{5});
  EXPECT_TRUE(AllAre(arena->memory(), 5));
  arena->memory().back() = std::byte{6};
  EXPECT_EQ(client.bytes().back(), std::byte{6});
}

TEST(ArenaTest, NobodyCanChangeItsSize) {
  const auto arena = Make();
  const int file = arena->descriptor();
  for (const off_t size : {int64_t{0}, kBytes - kPage, kBytes + 1}) {
    EXPECT_NE(ftruncate(file, size), 0) << size;
    EXPECT_EQ(errno, EPERM);
  }
  for (const int mode : {0, FALLOC_FL_KEEP_SIZE}) {
    EXPECT_NE(fallocate(file, mode, 0, kBytes + kPage), 0) << mode;
    EXPECT_EQ(errno, EPERM);
  }
  EXPECT_LT(pwrite(file, "x", 1, kBytes), 0);
  EXPECT_EQ(BytesInMemory(file), kBytes);
}

TEST(ArenaTest, NobodyCanSealItAgainstTheOtherSide) {
  const auto arena = Make();
  EXPECT_EQ(fcntl(arena->descriptor(), F_GET_SEALS),
            F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  for (const int seal : {F_SEAL_WRITE, F_SEAL_FUTURE_WRITE}) {
    EXPECT_NE(fcntl(arena->descriptor(), F_ADD_SEALS, seal), 0) << seal;
    EXPECT_EQ(errno, EPERM);
  }
}

TEST(ArenaTest, AHoleOfTheClientReadsAsZerosAndCanBeWritten) {
  const auto arena = Make();
  std::fill(arena->memory().begin(), arena->memory().end(), std::byte{7});
  ASSERT_EQ(fallocate(arena->descriptor(),
                      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kPage, kPage),
            0);
  EXPECT_EQ(BytesInMemory(arena->descriptor()), kBytes - kPage);
  EXPECT_TRUE(AllAre(arena->memory().subspan(0, kPage), 7));
  EXPECT_TRUE(AllAre(arena->memory().subspan(kPage, kPage), 0));
  EXPECT_TRUE(AllAre(arena->memory().subspan(2 * kPage), 7));
  arena->memory()[kPage] = std::byte{8};
  EXPECT_EQ(arena->memory()[kPage], std::byte{8});
}

TEST(ArenaTest, ItsEndReturnsAllMemoryThoughTheClientKeepsIt) {
  MemoryBudget budget(kBytes, 0);
  auto arena = Arena::Create(kBytes, *budget.TryReserve(kBytes));
  ASSERT_THAT(arena, IsOk());
  EXPECT_EQ(budget.figures().reserved, kBytes);
  const Descriptor file = Duplicate((*arena)->descriptor());
  const Mapping client(file.number());
  std::fill(client.bytes().begin(), client.bytes().end(), std::byte{9});
  EXPECT_EQ(MappedArenas(), 2U);
  arena->reset();
  EXPECT_EQ(MappedArenas(), 1U);
  EXPECT_EQ(BytesInMemory(file.number()), 0);
  EXPECT_EQ(budget.figures().reserved, 0);
  // No SIGBUS: the client does with its file what it likes.
  EXPECT_TRUE(AllAre(client.bytes(), 0));
  const Mapping late(file.number());
  late.bytes().back() = std::byte{1};
  EXPECT_EQ(client.bytes().back(), std::byte{1});
}

TEST(ArenaTest, WhatTheKernelRefuses) {
  MemoryBudget budget(kBytes, 0);
  const size_t descriptors = OpenDescriptors();
  EXPECT_THAT(
      WithoutDescriptors([&] {
        return Arena::Create(kBytes, *budget.TryReserve(kBytes)).status();
      }),
      StatusIs(absl::StatusCode::kResourceExhausted,
               HasSubstr("memfd_create: Too many open files")));
  // No file can be as large.
  EXPECT_THAT(Arena::Create(std::numeric_limits<size_t>::max(),
                            *budget.TryReserve(kBytes)),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("fallocate")));
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(budget.figures().reserved, 0);
}

}  // namespace
}  // namespace lossd
