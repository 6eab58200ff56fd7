// Who floods the arena socket, or takes all that there is.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/arena_neighbours.h"
#include "tests/support/random.h"

namespace lossd::test {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kOk = 0;
constexpr uint32_t kInvalidArgument = 3;
constexpr uint32_t kResourceExhausted = 8;
constexpr size_t kMaxConnections = 64;

class ArenaFloodTest : public ArenaNeighboursTest {
 protected:
  // The one that behaves can still get memory, and gives it back.
  void ExpectGranted() const {
    const ArenaClient::Answer answer = good_client_.Create(1);
    EXPECT_EQ(answer.reply.code, kOk) << answer.reply.text;
    EXPECT_EQ(good_client_.Free(answer.reply.id).reply.code, kOk);
  }
};

// What is left of it, once it has been told that it may not be here.
void ExpectRefused(const ArenaClient& client) {
  const auto answer = client.Receive();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->reply.kind, arena::Kind::kNone);
  EXPECT_EQ(answer->reply.code, kResourceExhausted);
  EXPECT_THAT(answer->reply.text, HasSubstr("connections: 64 of 64 taken"));
  EXPECT_FALSE(client.Receive().has_value());
}

TEST_F(ArenaFloodTest, HundredsOfConnections) {
  std::deque<ArenaClient> clients;
  // With the one that behaves.
  for (size_t i = 1; i < kMaxConnections; ++i) {
    clients.emplace_back(path());
    EXPECT_EQ(clients.back().Create(1).reply.code, kOk);
  }
  EXPECT_EQ(Figure("lossd_arena_connections"), kMaxConnections);
  for (int i = 0; i < 300; ++i) ExpectRefused(ArenaClient(path()));
  EXPECT_EQ(Figure("lossd_arena_connections_refused_total"), 300);
  ExpectUnharmed();
  ExpectGranted();
  // As soon as one goes somebody else may come.
  clients.pop_front();
  Await("lossd_arena_connections", kMaxConnections - 1);
  EXPECT_EQ(clients.emplace_back(path()).Create(1).reply.code, kOk);
}

TEST_F(ArenaFloodTest, ConnectionsThatComeAndGo) {
  for (int i = 0; i < 300; ++i) {
    const ArenaClient client(path());
    // Some with a request that nobody waits for, some with less than that.
    if (i % 3 == 1) client.Send({.kind = arena::Kind::kCreate, .bytes = 4096});
    if (i % 3 == 2) client.SendPacket(std::vector<std::byte>(24));
  }
}

TEST_F(ArenaFloodTest, CreatesAndFreesWithoutReading) {
  std::deque<ArenaClient> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(path());
    // Until there is no room for one more.
    arena::Request create = {.kind = arena::Kind::kCreate, .bytes = 4096};
    for (uint64_t tag = 0; clients.back().SendWithoutWaiting(create); ++tag) {
      clients.back().SendWithoutWaiting(
          {.kind = arena::Kind::kFree, .tag = tag, .id = good_arena_.id()});
      create.tag = tag;
    }
  }
  ExpectUnharmed();
  ExpectGranted();
}

// Each is told, and gone.
TEST_F(ArenaFloodTest, Garbage) {
  Random random(1);
  const auto good =
      arena::Encode(arena::Request{.kind = arena::Kind::kCreate, .bytes = 1});
  for (int i = 0; i < 300; ++i) {
    const ArenaClient client(path());
    std::vector<std::byte> packet(good.begin(), good.end());
    if (i % 2 == 0) packet.resize(static_cast<size_t>(random.Below(200)));
    // Of a request's length too, and then not the magic.
    for (std::byte& byte : packet) {
      byte = static_cast<std::byte>(random.Below(256));
    }
    ASSERT_TRUE(client.SendPacket(packet));
    const auto answer = client.Receive();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->reply.code, kInvalidArgument);
    EXPECT_FALSE(client.Receive().has_value());
  }
}

// Half a request and nothing more, descriptors, an end that only writes.
TEST_F(ArenaFloodTest, HalvesAndDescriptors) {
  const auto good =
      arena::Encode(arena::Request{.kind = arena::Kind::kCreate, .bytes = 1});
  for (const size_t descriptors : {1U, 100U, 253U}) {
    const ArenaClient client(path());
    ASSERT_TRUE(client.SendPacket(
        good, std::vector<int>(descriptors, good_arena_.file())));
    const auto answer = client.Receive();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->reply.code, kInvalidArgument);
    EXPECT_FALSE(client.Receive().has_value());
  }
  const ArenaClient half(path());
  ASSERT_TRUE(half.SendPacket(std::span(good).first(24)));
  EXPECT_EQ(half.Receive()->reply.code, kInvalidArgument);
  const ArenaClient deaf(path());
  ASSERT_EQ(shutdown(deaf.descriptor(), SHUT_RD), 0);
  ASSERT_TRUE(deaf.Send({.kind = arena::Kind::kCreate, .bytes = 1}));
  Await("lossd_arena_connections", 1);
}

// The budget is 128 MiB: half of it for arenas, a quarter for a connection.
TEST_F(ArenaFloodTest, AllBytes) {
  {
    const ArenaClient first(path());
    const ArenaClient second(path());
    constexpr uint64_t kMost = kBudget / 4;
    const auto refused = [](const ArenaClient& client, uint64_t bytes) {
      const ArenaClient::Answer answer = client.Create(bytes);
      EXPECT_EQ(answer.reply.code, kResourceExhausted);
      EXPECT_LT(answer.file.number(), 0);
      return answer.reply.text;
    };
    EXPECT_THAT(refused(first, kMost + 1),
                HasSubstr("bytes of this connection's arenas: 0 of 33554432"));
    EXPECT_EQ(first.Create(kMost).reply.code, kOk);
    EXPECT_THAT(refused(first, 1), HasSubstr("33554432 of 33554432 taken"));
    EXPECT_THAT(refused(second, kMost),
                HasSubstr("bytes of all arenas: 34603008 of 67108864 taken"));
    EXPECT_EQ(second.Create(kMost - kOwnBytes).reply.code, kOk);
    EXPECT_THAT(refused(good_client_, 1), HasSubstr("bytes of all arenas"));
    ExpectUnharmed();
  }
  // Nor for ever.
  Await("lossd_arena_connections", 1);
  const auto answer = good_client_.Create(kBudget / 8);
  EXPECT_EQ(answer.reply.code, kOk) << answer.reply.text;
  EXPECT_EQ(good_client_.Free(answer.reply.id).reply.code, kOk);
}

TEST_F(ArenaFloodTest, AllArenas) {
  {
    std::deque<ArenaClient> clients;
    for (int i = 0; i < 16; ++i) {
      const ArenaClient& client = clients.emplace_back(path());
      // The last one finds that somebody else has one.
      for (int arena = 0; arena < (i < 15 ? 64 : 63); ++arena) {
        ASSERT_EQ(client.Create(1).reply.code, kOk) << i << ' ' << arena;
      }
      const auto answer = client.Create(1);
      EXPECT_EQ(answer.reply.code, kResourceExhausted);
      EXPECT_THAT(answer.reply.text,
                  HasSubstr(i < 15 ? "arenas of this connection: 64 of 64 taken"
                                   : "arenas: 1024 of 1024 taken"));
    }
    EXPECT_THAT(good_client_.Create(1).reply.text,
                HasSubstr("arenas: 1024 of 1024 taken"));
    ExpectUnharmed();
    // Who comes now is served.
    EXPECT_TRUE(server_.Connect(server_.tcp_target()).GetServerInfo().ok());
  }
  Await("lossd_arena_connections", 1);
  Await("lossd_arenas", 1);
}

}  // namespace
}  // namespace lossd::test
