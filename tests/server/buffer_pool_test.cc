#include "server/buffer_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace lossd {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr int64_t kPlenty = int64_t{1} << 30;

uintptr_t Address(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

// Whether the page at `pointer` is mapped and has memory behind it.
bool Resident(void* pointer) {
  unsigned char resident = 0;
  return mincore(pointer, 1, &resident) == 0 && (resident & 1) != 0;
}

// Bytes of all mappings.
size_t AddressSpace() {
  std::ifstream file("/proc/self/statm");
  size_t pages = 0;
  file >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// The flags of the mapping at `pointer`, proc(5)'s VmFlags.
std::string MappingFlags(const void* pointer) {
  std::ifstream file("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char dash = 0;
    std::istringstream words(line);
    if (words >> std::hex >> begin >> dash >> end && dash == '-') {
      inside = begin <= Address(pointer) && Address(pointer) < end;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line + " ";
    }
  }
  return "";
}

TEST(BufferPoolTest, BuffersAreAlignedAndWritable) {
  BufferPool pool(kPlenty);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65}, kMiB - 64, kMiB,
                            2 * kMiB, 2 * kMiB + 1, 5 * kMiB}) {
    const size_t alignment = size >= 2 * kMiB ? 2 * kMiB
                             : size >= kMiB   ? size_t{4096}
                                              : size_t{64};
    const Buffer buffer = pool.Get(size);
    EXPECT_EQ(buffer.size(), size);
    ASSERT_NE(buffer.data(), nullptr);
    EXPECT_EQ(Address(buffer.data()) % alignment, 0U) << size;
    std::memset(buffer.data(), 1, size);
  }
}

TEST(BufferPoolTest, RoundingWastesAQuarterAtMost) {
  BufferPool pool(0);
  std::minstd_rand random;
  for (int shift = 8; shift < 30; ++shift) {
    const size_t power = size_t{1} << shift;
    for (const size_t size :
         {power - 1, power, power + 1, power + random() % power}) {
      const Buffer buffer = pool.Get(size);
      const auto used = static_cast<size_t>(pool.figures().used);
      EXPECT_GE(used, size);
      EXPECT_LE(used, size + size / 4 + 63) << size;
    }
    // Round sizes are classes, and there are no more classes than four steps.
    Buffer buffer = pool.Get(power);
    EXPECT_EQ(pool.figures().used, static_cast<int64_t>(power));
    buffer = Buffer();
    buffer = pool.Get(power + 1);
    EXPECT_EQ(pool.figures().used, static_cast<int64_t>(power + power / 4));
  }
}

TEST(BufferPoolTest, ABufferIsUsedAgainWithItsPages) {
  BufferPool pool(kPlenty);
  for (const size_t size : {size_t{100}, kMiB, 4 * kMiB}) {
    const uint64_t misses = pool.figures().misses;
    std::byte* first = nullptr;
    {
      const Buffer buffer = pool.Get(size);
      first = buffer.data();
      std::memset(first, 7, size);
    }
    // Another size of the same class.
    const Buffer again = pool.Get(size - 1);
    EXPECT_EQ(again.data(), first);
    EXPECT_EQ(again.size(), size - 1);
    // Pages that were given back would come back as zeros.
    EXPECT_TRUE(std::all_of(again.data(), again.data() + again.size(),
                            [](std::byte b) { return b == std::byte{7}; }));
    EXPECT_EQ(pool.figures().misses, misses + 1);
  }
}

TEST(BufferPoolTest, TheOneUsedLastIsUsedNext) {
  BufferPool pool(kPlenty);
  Buffer a = pool.Get(100);
  Buffer b = pool.Get(100);
  const std::byte* const last = a.data();
  b = Buffer();
  a = Buffer();
  EXPECT_EQ(pool.Get(100).data(), last);
}

// What is mapped only to find an aligned part goes back.
TEST(BufferPoolTest, AlignmentTakesNoAddresses) {
  BufferPool pool(0);
  const size_t before = AddressSpace();
  for (int i = 0; i < 64; ++i) pool.Get(5 * kMiB / 2);
  EXPECT_LT(AddressSpace(), before + 16 * kMiB);
}

TEST(BufferPoolTest, CountsWhatIsUsedAndFree) {
  BufferPool pool(kPlenty);
  Buffer a = pool.Get(1024);
  Buffer b = pool.Get(1024);
  EXPECT_EQ(pool.figures().used, 2048);
  a = std::move(b);
  EXPECT_EQ(b.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(b.size(), 0U);
  EXPECT_EQ(pool.figures().used, 1024);
  EXPECT_EQ(pool.figures().free, 1024);
  a = Buffer();
  EXPECT_EQ(pool.figures().used, 0);
  EXPECT_EQ(pool.figures().free, 2048);
  EXPECT_EQ(pool.figures().misses, 2U);
}

TEST(BufferPoolTest, TheSizeUnusedForLongestIsFreedFirst) {
  BufferPool pool(4 * kMiB);
  std::vector<Buffer> buffers;
  for (const size_t size : {kMiB + kMiB / 2, kMiB, 2 * kMiB}) {
    buffers.push_back(pool.Get(size));
  }
  // The last is half a megabyte too much.
  for (Buffer& buffer : buffers) buffer = Buffer();
  EXPECT_EQ(pool.figures().free, 3 * int64_t{kMiB});
  const Buffer large = pool.Get(2 * kMiB);
  const Buffer small = pool.Get(kMiB);
  EXPECT_EQ(pool.figures().misses, 3U);
}

TEST(BufferPoolTest, WhatNeverFitsDrivesNothingOut) {
  BufferPool pool(kMiB);
  pool.Get(kMiB / 2);
  std::byte* large = nullptr;
  {
    const Buffer buffer = pool.Get(16 * kMiB);
    large = buffer.data();
    std::memset(large, 1, buffer.size());
    EXPECT_TRUE(Resident(large));
  }
  EXPECT_FALSE(Resident(large));
  EXPECT_EQ(pool.figures().free, int64_t{kMiB} / 2);
  EXPECT_EQ(pool.figures().used, 0);
}

TEST(BufferPoolTest, WhatIsIdleForAPeriodIsFreed) {
  BufferPool pool(kPlenty);
  std::vector<Buffer> burst;
  for (int i = 0; i < 5; ++i) burst.push_back(pool.Get(kMiB));
  burst.clear();
  EXPECT_EQ(pool.figures().free, 5 * int64_t{kMiB});
  // A period begins, in which two at once are needed.
  pool.TrimIdle();
  EXPECT_EQ(pool.figures().free, 5 * int64_t{kMiB});
  for (int i = 0; i < 3; ++i) {
    const Buffer a = pool.Get(kMiB);
    const Buffer b = pool.Get(kMiB);
  }
  pool.TrimIdle();
  EXPECT_EQ(pool.figures().free, 2 * int64_t{kMiB});
  EXPECT_EQ(pool.figures().misses, 5U);
  std::byte* page = pool.Get(kMiB).data();
  std::memset(page, 1, kMiB);
  pool.TrimIdle();
  EXPECT_EQ(pool.figures().free, int64_t{kMiB});
  EXPECT_TRUE(Resident(page));
  pool.TrimIdle();
  EXPECT_EQ(pool.figures().free, 0);
  EXPECT_FALSE(Resident(page));
}

TEST(BufferPoolTest, LargeBuffersAskForHugePages) {
  // Where the kernel has none, asking does no harm.
  const bool has_huge_pages =
      std::filesystem::exists("/sys/kernel/mm/transparent_hugepage");
  BufferPool pool(kPlenty);
  const Buffer large = pool.Get(2 * kMiB);
  EXPECT_EQ(MappingFlags(large.data()).find(" hg ") != std::string::npos,
            has_huge_pages);
  const Buffer small = pool.Get(kMiB);
  EXPECT_THAT(MappingFlags(small.data()),
              testing::Not(testing::HasSubstr(" hg ")));
}

TEST(BufferPoolTest, ATokenIsABuffer) {
  BufferPool pool(kPlenty);
  Buffer buffer = pool.Get(100);
  const std::byte* const data = buffer.data();
  void* const token = buffer.Release();
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(pool.figures().used, 128);
  std::thread([token, data] {
    const Buffer back = Buffer::FromToken(token);
    EXPECT_EQ(back.data(), data);
    EXPECT_EQ(back.size(), 100U);
  }).join();
  EXPECT_EQ(pool.figures().used, 0);
  EXPECT_EQ(Buffer().Release(), nullptr);
  EXPECT_EQ(Buffer::FromToken(nullptr).size(), 0U);
}

TEST(BufferPoolTest, BuffersOutliveTheirPool) {
  std::optional<BufferPool> pool(kPlenty);
  const Buffer first = pool->Get(3 * kMiB);
  Buffer second = pool->Get(3 * kMiB);
  std::byte* const data = second.data();
  void* const token = second.Release();
  std::byte* const waiting = pool->Get(kMiB).data();
  std::memset(waiting, 1, kMiB);
  EXPECT_TRUE(Resident(waiting));
  pool.reset();
  EXPECT_FALSE(Resident(waiting));
  std::memset(data, 1, 3 * kMiB);
  EXPECT_TRUE(Resident(data));
  // Freed, though `first` keeps the pool's state alive.
  Buffer::FromToken(token);
  EXPECT_FALSE(Resident(data));
  std::memset(first.data(), 1, 3 * kMiB);
}

TEST(BufferPoolTest, WhatIsFreeIsFreedBeforeMemoryRunsOut) {
  BufferPool pool(kPlenty);
  pool.Get(kMiB);
  EXPECT_EQ(pool.figures().free, int64_t{kMiB});
  // More than addresses can name.
  EXPECT_THROW(pool.Get(size_t{1} << 58), std::bad_alloc);
  EXPECT_EQ(pool.figures().free, 0);
  EXPECT_EQ(pool.figures().used, 0);
  EXPECT_EQ(pool.figures().misses, 1U);
  EXPECT_THROW(pool.Get(SIZE_MAX), std::bad_alloc);
}

TEST(BufferPoolTest, ManyThreadsShareItAndPassBuffersOn) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 2000;
  BufferPool pool(4 * kMiB);
  std::mutex mutex;
  std::vector<void*> tokens;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(t + 1);
      for (int i = 0; i < kRounds; ++i) {
        // Some that are mapped, some that are not.
        Buffer buffer =
            pool.Get(256 + random() % (i % 8 == 0 ? 3 * kMiB : 5000));
        // Nobody else writes here, as the thread sanitizer would see.
        std::memset(buffer.data(), static_cast<int>(t), 256);
        std::byte& last = buffer.data()[buffer.size() - 1];
        last = std::byte{1};
        EXPECT_EQ(buffer.data()[1], static_cast<std::byte>(t));
        void* token = buffer.Release();
        {
          const std::lock_guard lock(mutex);
          tokens.push_back(token);
          std::swap(tokens.front(), tokens.back());
          token = nullptr;
          if (tokens.size() > 8) {
            token = tokens.back();
            tokens.pop_back();
          }
        }
        Buffer::FromToken(token);
        if (i % 100 == 0) pool.TrimIdle();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (void* token : tokens) Buffer::FromToken(token);
  const BufferPool::Figures figures = pool.figures();
  EXPECT_EQ(figures.used, 0);
  EXPECT_LE(figures.free, 4 * int64_t{kMiB});
  EXPECT_LT(figures.misses, kThreads * kRounds);
}

}  // namespace
}  // namespace lossd
