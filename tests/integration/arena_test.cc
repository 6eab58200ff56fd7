// What a client may do with its memory, and how it may end, while others
// compute.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/integration/arena_neighbours.h"
#include "tests/integration/messages.h"
#include "tests/support/child_process.h"
#include "tests/support/random.h"

namespace lossd::test {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kBytes = uint64_t{1} << 20;
constexpr uint64_t kPage = 4096;
constexpr int64_t kRows = 10'000;
constexpr uint64_t kTensorBytes = kRows * 2 * sizeof(float);

int CodeOf(absl::StatusCode code) { return static_cast<int>(code); }

// Predictions in the arena's first page on, the gradient far behind.
v1::LossItem ItemIn(const OwnArena& arena) {
  v1::LossItem item = MseItem(kRows);
  arena.Move(0, item.mutable_predictions());
  *item.mutable_outputs()->mutable_gradient_to() =
      arena.Ref(kBytes / 2, kTensorBytes);
  return item;
}

using ArenaMemoryTest = ArenaNeighboursTest;

TEST_F(ArenaMemoryTest, ItsSizeAndItsSealsAreNotTheClients) {
  const ArenaClient client(path());
  const OwnArena arena(client, kBytes);
  for (const off_t size : {off_t{0}, off_t{kBytes - 1}, off_t{kBytes + 1}}) {
    EXPECT_NE(ftruncate(arena.file(), size), 0) << size;
    EXPECT_EQ(errno, EPERM);
  }
  EXPECT_NE(fallocate(arena.file(), 0, 0, off_t{2 * kBytes}), 0);
  for (const int mode : {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE}) {
    EXPECT_NE(fallocate(arena.file(), mode, 0, off_t{kPage}), 0);
  }
  EXPECT_LT(pwrite(arena.file(), "x", 1, off_t{kBytes}), 0);
  for (const int seal : {F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_SHRINK}) {
    EXPECT_NE(fcntl(arena.file(), F_ADD_SEALS, seal), 0) << seal;
  }
  const v1::LossItem item = ItemIn(arena);
  EXPECT_EQ(server_.Compute(item).status().code(), 0);
}

// What it may do with its own mapping and its flags is nothing to lossd.
TEST_F(ArenaMemoryTest, AClientThatCannotWriteGetsOutputsAllTheSame) {
  const ArenaClient client(path());
  const OwnArena arena(client, kBytes);
  const v1::LossItem item = ItemIn(arena);
  const v1::LossResult expected = server_.Compute(MseItem(kRows));
  ASSERT_EQ(mprotect(arena.memory().data(), kBytes, PROT_READ), 0);
  ASSERT_EQ(fcntl(arena.file(), F_SETFL, O_APPEND | O_NONBLOCK), 0);
  EXPECT_EQ(server_.Compute(item).loss(), expected.loss());
  EXPECT_EQ(arena.Read(item.outputs().gradient_to()),
            expected.gradient().data());
  ASSERT_EQ(mprotect(arena.memory().data(), kBytes, PROT_NONE), 0);
  EXPECT_EQ(server_.Compute(item).loss(), expected.loss());
}

TEST_F(ArenaMemoryTest, HolesAreZeros) {
  const ArenaClient client(path());
  const OwnArena arena(client, kBytes);
  const v1::LossItem item = ItemIn(arena);
  ASSERT_EQ(fallocate(arena.file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      kPage, 2 * kPage),
            0);
  v1::LossItem zeros = MseItem(kRows);
  std::string* const data = zeros.mutable_predictions()->mutable_data();
  std::fill_n(data->begin() + kPage, 2 * kPage, '\0');
  const v1::LossResult expected = server_.Compute(zeros);
  EXPECT_EQ(server_.Compute(item).loss(), expected.loss());
  EXPECT_EQ(arena.Read(item.outputs().gradient_to()),
            expected.gradient().data());
}

TEST_F(ArenaMemoryTest, HolesWhileItIsReadAndWritten) {
  const ArenaClient client(path());
  const OwnArena arena(client, kBytes);
  const v1::LossItem item = ItemIn(arena);
  std::atomic<bool> done = false;
  std::atomic<int> holes = 0;
  std::thread puncher([&] {
    while (!done) {
      if (fallocate(arena.file(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                    off_t{kBytes}) == 0) {
        ++holes;
      }
    }
  });
  for (int call = 0; call < 100 || holes < 100; ++call) {
    EXPECT_EQ(server_.Compute(item).status().code(), 0);
  }
  done = true;
  puncher.join();
  const v1::LossResult expected = server_.Compute(MseItem(kRows));
  EXPECT_EQ(server_.Compute(ItemIn(arena)).loss(), expected.loss());
  EXPECT_EQ(arena.Read(item.outputs().gradient_to()),
            expected.gradient().data());
}

// The neighbour's arena is that of whoever has the id.
TEST_F(ArenaMemoryTest, AnIdIsACapability) {
  const ArenaClient client(path());
  const OwnArena arena(client, kBytes);
  EXPECT_EQ(client.Free(good_arena_.id()).reply.code,
            static_cast<uint32_t>(absl::StatusCode::kNotFound));
  v1::LossItem item = ItemIn(arena);
  const v1::LossResult expected = server_.Compute(MseItem(kRows));
  // To somebody else's arena, over TCP too.
  const v1::ArenaRef to = good_arena_.Ref(0, kTensorBytes);
  *item.mutable_outputs()->mutable_gradient_to() = to;
  const auto tcp = v1::LossService::NewStub(grpc::CreateChannel(
      server_.tcp_target(), grpc::InsecureChannelCredentials()));
  const std::string before = good_arena_.Read(to);
  for (v1::LossService::StubInterface* stub :
       {static_cast<v1::LossService::StubInterface*>(tcp.get()),
        &server_.stub()}) {
    grpc::ClientContext context;
    v1::ComputeRequest request;
    *request.add_items() = item;
    v1::ComputeResponse response;
    ASSERT_TRUE(stub->Compute(&context, request, &response).ok());
    EXPECT_EQ(response.results(0).loss(), expected.loss());
    EXPECT_EQ(good_arena_.Read(to), expected.gradient().data());
    std::ranges::copy(std::as_bytes(std::span(before)),
                      good_arena_.memory().begin());
  }
}

TEST_F(ArenaMemoryTest, NobodyGuesses) {
  v1::ComputeRequest request;
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    v1::LossItem& item = *request.add_items();
    item = MseItem(2);
    v1::ArenaRef& ref = *item.mutable_targets()->mutable_arena();
    // Near the right one, of any length, or any.
    std::string id(good_arena_.Ref(0, 0).id());
    if (i % 3 == 0) id.at(static_cast<size_t>(i / 3) % 16) ^= 1;
    if (i % 3 == 1) id.resize(static_cast<size_t>(i) % 16);
    if (i % 3 == 2) {
      for (char& c : id) c = static_cast<char>(random.Below(256));
    }
    ref.set_id(id);
    ref.set_length(16);
  }
  const v1::ComputeResponse response = server_.Compute(request);
  for (const v1::LossResult& result : response.results()) {
    EXPECT_EQ(result.status().code(), CodeOf(absl::StatusCode::kNotFound));
    EXPECT_EQ(BytesOf(result), BytesOf(response.results(0)));
  }
}

using ArenaEndTest = ArenaNeighboursTest;

// Whoever holds the arena goes on, on memory that is still there.
TEST_F(ArenaEndTest, FreedAndLeftWhileAStreamUsesIt) {
  const v1::LossResult expected = server_.Compute(MseItem(kRows));
  for (const bool leave : {false, true}) {
    auto client = std::make_unique<ArenaClient>(path());
    const OwnArena arena(*client, kBytes);
    v1::LossItem item = ItemIn(arena);
    HeldStream stream(server_.stub(), item);
    if (leave) {
      client.reset();
      Await("lossd_arena_connections", 1);
    } else {
      EXPECT_EQ(client->Free(arena.id()).reply.code, 0U);
    }
    Await("lossd_arenas", 1);
    EXPECT_EQ(Figure("lossd_arena_bytes"), kOwnBytes + kBytes);
    // Nobody else may begin.
    const v1::LossResult late = server_.Compute(item);
    EXPECT_EQ(late.status().code(), CodeOf(absl::StatusCode::kNotFound));
    EXPECT_THAT(late.status().message(), HasSubstr("predictions.arena.id"));
    const std::optional<v1::LossResult> result = stream.Finish();
    ASSERT_TRUE(result.has_value()) << stream.status().error_message();
    EXPECT_EQ(result->loss(), expected.loss());
    Await("lossd_arena_bytes", kOwnBytes);
  }
}

// The last to let go of it is a call that is cancelled.
TEST_F(ArenaEndTest, TheStreamIsCancelledBehindIt) {
  auto client = std::make_unique<ArenaClient>(path());
  const OwnArena arena(*client, kBytes);
  {
    const HeldStream stream(server_.stub(), ItemIn(arena));
    client.reset();
    Await("lossd_arenas", 1);
  }
  Await("lossd_arena_bytes", kOwnBytes);
}

// Calls without a stream cannot be held; of many at any time some are cut.
TEST_F(ArenaEndTest, GoneWhileCallsUseIt) {
  const v1::LossResult expected = server_.Compute(MseItem(kRows));
  for (int round = 0; round < 10; ++round) {
    auto client = std::make_unique<ArenaClient>(path());
    const OwnArena arena(*client, kBytes);
    v1::LossItem item = ItemIn(arena);
    // Calls write over each other's gradients otherwise.
    item.mutable_outputs()->clear_gradient_to();
    v1::ComputeRequest request;
    for (int i = 0; i < 8; ++i) *request.add_items() = item;
    std::atomic<int> calls = 0;
    std::vector<std::thread> callers;
    for (int i = 0; i < 3; ++i) {
      callers.emplace_back([&] {
        while (true) {
          const v1::ComputeResponse response = server_.Compute(request);
          ++calls;
          int lost = 0;
          for (const v1::LossResult& result : response.results()) {
            if (result.status().code() == 0) {
              EXPECT_EQ(result.loss(), expected.loss());
              EXPECT_EQ(result.gradient().data(), expected.gradient().data());
              continue;
            }
            EXPECT_EQ(result.status().code(),
                      CodeOf(absl::StatusCode::kNotFound));
            ++lost;
          }
          if (lost > 0) return;
        }
      });
    }
    WaitUntil([&] { return calls > 3; });
    client.reset();
    for (std::thread& caller : callers) caller.join();
  }
}

// A process that is killed, its memory still mapped, with a stream and calls
// under way.
TEST_F(ArenaEndTest, Killed) {
  for (int round = 0; round < 3; ++round) {
    ChildProcess child(
        {LOSSD_BIN_DIR "/arena_caller", "hold", server_.unix_target()});
    EXPECT_EQ(child.ReadLine(), "under way\n");
    EXPECT_EQ(Figure("lossd_arenas"), 2);
    child.Signal(SIGKILL);
    EXPECT_EQ(child.Wait(), -SIGKILL);
    Await("lossd_arena_connections", 1);
    Await("lossd_arena_bytes", kOwnBytes);
  }
}

TEST_F(ArenaEndTest, ItsAddressIsToldToWhoMayUseIt) {
  for (const std::string& target :
       {server_.unix_target(), server_.tcp_target()}) {
    const auto info = server_.Connect(target).GetServerInfo();
    ASSERT_TRUE(info.ok());
    EXPECT_EQ(info->arena_address(), "unix:" + path());
  }
  const RunningServer without;
  const auto info = without.Connect().GetServerInfo();
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->arena_address(), "");
  v1::LossItem item = MseItem(2);
  *item.mutable_targets()->mutable_arena() = good_arena_.Ref(0, 16);
  EXPECT_EQ(without.Compute(item).status().code(),
            CodeOf(absl::StatusCode::kUnimplemented));
}

// The server ends with arenas and a call that would wait for ever.
TEST(ArenaShutdownTest, ItEndsAndMemoryStays) {
  const TempDir folder;
  const std::string path = folder / "arenas";
  auto server = std::make_unique<RunningServer>(ServerOptions{
      .arena_listen = "unix:" + path, .threads = 2, .drain_timeout = 0});
  const ArenaClient client(path);
  const OwnArena arena(client, kBytes);
  const v1::LossItem item = ItemIn(arena);
  const v1::LossResult expected = server->Compute(MseItem(kRows));
  EXPECT_EQ(server->Compute(item).loss(), expected.loss());
  {
    v1::LossItem held = item;
    held.mutable_outputs()->clear_gradient_to();
    HeldStream stream(server->stub(), held);
    server.reset();
    EXPECT_FALSE(stream.Finish().has_value());
    // Nor does the arena socket wait for the client.
    EXPECT_FALSE(client.Receive().has_value());
  }
  EXPECT_EQ(arena.Read(item.outputs().gradient_to()),
            expected.gradient().data());
  EXPECT_EQ(arena.Read(item.predictions().arena()),
            MseItem(kRows).predictions().data());
}

}  // namespace
}  // namespace lossd::test
