// The connection to the arena socket: what comes over it, and what if not.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/arena/arena_source.h"
#include "tests/client/arena/fake_arena_server.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_sockets.h"

namespace lossd {
namespace {

using client_internal::ArenaMemory;
using client_internal::ArenaSocket;
using client_internal::ArenaSource;
using test::FakeArenaServer;
using test::OpenDescriptors;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kBytes = 10000;

// Long enough for anything but an answer that never comes.
constexpr absl::Duration kPatience = absl::Seconds(60);

class ArenaSocketTest : public ::testing::Test {
 protected:
  ArenaSocketTest() { source_.Adopt(server_->address()); }

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

TEST_F(ArenaSocketTest, SizesThatCannotBe) {
  for (const size_t bytes : {size_t{0}, (size_t{1} << 50) + 1}) {
    const absl::Status status = source_.Create(bytes, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(std::to_string(bytes)));
  }
  EXPECT_EQ(server_->connections(), 0u);
}

// An answer to a create, and what is made of it.
struct BadAnswer {
  std::string name;
  std::function<bool(int connection, arena::Reply reply)> answer;
  absl::StatusCode code = absl::StatusCode::kInternal;
  std::string text;
  // Whether the connection can go on.
  bool in_step = false;
};

void PrintTo(const BadAnswer& answer, std::ostream* out) {
  *out << answer.name;
}

bool SendWith(int connection, const arena::Reply& reply, size_t files,
              size_t bytes = kBytes, bool seal = true) {
  const Descriptor file = FakeArenaServer::MemoryFile(bytes, seal);
  FakeArenaServer::Send(connection, arena::Encode(reply),
                        std::vector<int>(files, file.number()));
  return true;
}

std::vector<BadAnswer> BadAnswers() {
  const auto internal = absl::StatusCode::kInternal;
  std::vector<BadAnswer> answers;
  for (const size_t files : {0U, 2U, 5U}) {
    answers.push_back({"Descriptors" + std::to_string(files),
                       [files](int connection, const arena::Reply& reply) {
                         return SendWith(connection, reply, files);
                       },
                       internal, "descriptors"});
  }
  for (const size_t bytes : {kBytes - 1, kBytes + 1}) {
    answers.push_back({"Memory" + std::to_string(bytes),
                       [bytes](int connection, const arena::Reply& reply) {
                         return SendWith(connection, reply, 1, bytes);
                       },
                       internal, "memory of " + std::to_string(bytes)});
    answers.push_back({"Granted" + std::to_string(bytes),
                       [bytes](int connection, arena::Reply reply) {
                         reply.bytes = bytes;
                         return SendWith(connection, reply, 1, bytes);
                       },
                       internal, "an arena of " + std::to_string(bytes)});
  }
  answers.push_back({"Unsealed",
                     [](int connection, const arena::Reply& reply) {
                       return SendWith(connection, reply, 1, kBytes, false);
                     },
                     internal, "without a seal"});
  answers.push_back({"NoMemoryFile",
                     [](int connection, const arena::Reply& reply) {
                       FakeArenaServer::Send(connection, arena::Encode(reply),
                                             {connection});
                       return true;
                     },
                     internal, "memory of 0 bytes"});
  for (const size_t size : {arena::kReplyBytes - 1, arena::kReplyBytes + 1}) {
    answers.push_back(
        {"Packet" + std::to_string(size),
         [size](int connection, const arena::Reply& reply) {
           const auto whole = arena::Encode(reply);
           std::vector<std::byte> packet(whole.begin(), whole.end());
           packet.resize(size);
           const Descriptor file = FakeArenaServer::MemoryFile(kBytes);
           FakeArenaServer::Send(connection, packet, {file.number()});
           return true;
         },
         internal, std::to_string(size)});
  }
  answers.push_back({"AnotherTag",
                     [](int connection, arena::Reply reply) {
                       ++reply.tag;
                       return SendWith(connection, reply, 1);
                     },
                     internal, "another request"});
  answers.push_back({"AnotherKind",
                     [](int connection, arena::Reply reply) {
                       reply.kind = arena::Kind::kFree;
                       return SendWith(connection, reply, 0);
                     },
                     internal, "another request"});
  answers.push_back({"HangsUp", [](int, const arena::Reply&) { return false; },
                     absl::StatusCode::kUnavailable, "ended the connection"});
  answers.push_back({"Silence", [](int, const arena::Reply&) { return true; },
                     absl::StatusCode::kDeadlineExceeded, "50ms"});
  answers.push_back({"RefusedConnection",
                     [](int connection, const arena::Reply&) {
                       SendWith(connection, {.code = 8, .text = "too many"}, 0);
                       return false;
                     },
                     absl::StatusCode::kResourceExhausted, "too many"});
  answers.push_back({"RefusedArena",
                     [](int connection, arena::Reply reply) {
                       reply.code = 8;
                       reply.text = "no room";
                       return SendWith(connection, reply, 0);
                     },
                     absl::StatusCode::kResourceExhausted, "no room", true});
  return answers;
}

class BadAnswerTest : public ArenaSocketTest,
                      public ::testing::WithParamInterface<BadAnswer> {};

TEST_P(BadAnswerTest, FailsAndHarmsNobody) {
  const BadAnswer& bad = GetParam();
  const size_t descriptors = OpenDescriptors();
  // Only what has no answer is waited for.
  const bool silent = bad.code == absl::StatusCode::kDeadlineExceeded;
  ArenaSource source("TARGET", silent ? absl::Milliseconds(50) : kPatience);
  source.Adopt(server_->address());
  auto arena = source.Create(kBytes, {});
  ASSERT_TRUE(arena.ok()) << arena.status();
  const auto answer_free = [&](int connection, const arena::Request& request) {
    return server_->Grant(connection, request);
  };
  server_->SetAnswer([&](int connection, const arena::Request& request) {
    if (request.kind == arena::Kind::kFree) {
      return answer_free(connection, request);
    }
    return bad.answer(
        connection,
        {.kind = request.kind, .tag = request.tag, .bytes = request.bytes});
  });
  for (const bool fall_back : {false, true}) {
    const absl::Status status =
        source.Create(kBytes, {.fall_back = fall_back}).status();
    EXPECT_EQ(status.code(), bad.code) << status;
    EXPECT_THAT(status.message(),
                AllOf(HasSubstr(Path()), HasSubstr(bad.text)));
  }
  server_->SetAnswer(answer_free);
  auto next = source.Create(kBytes, {});
  ASSERT_TRUE(next.ok()) << next.status();
  (*next)->memory().back() = std::byte{1};
  EXPECT_EQ(server_->Memory().back(), std::byte{1});
  EXPECT_EQ(server_->connections(), bad.in_step ? 1u : 3u);
  // The arenas of a connection that is out of step are still there.
  (*arena)->memory().back() = std::byte{1};
  EXPECT_EQ((*arena)->Free().ok(), bad.in_step);
  *arena = nullptr;
  *next = nullptr;
  server_->AwaitOpen(0);
  server_.reset();
  EXPECT_EQ(OpenDescriptors(), descriptors - 2);
}

INSTANTIATE_TEST_SUITE_P(All, BadAnswerTest, ::testing::ValuesIn(BadAnswers()),
                         [](const auto& test) { return test.param.name; });

TEST_F(ArenaSocketTest, AServerThatHasHungUpMayHaveSaidWhy) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  ArenaSocket socket("unix:PATH", kPatience, Descriptor(ends[0]));
  // What it has not read turns its end into an error.
  FakeArenaServer::Send(ends[0], std::vector<std::byte>(1));
  FakeArenaServer::Send(ends[1],
                        arena::Encode({.code = 8, .text = "too many"}));
  close(ends[1]);
  const absl::Status status = socket.Create(kBytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(status.message(), HasSubstr("too many"));
}

TEST_F(ArenaSocketTest, SignalsDoNotCutAnswersShort) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  // Keeps the connection.
  auto arena = Create();
  const pthread_t asking = pthread_self();
  server_->SetAnswer([&](int connection, const arena::Request& request) {
    for (int i = 0; i < 100; ++i) EXPECT_EQ(pthread_kill(asking, SIGUSR1), 0);
    return server_->Grant(connection, request);
  });
  for (int i = 0; i < 10; ++i) EXPECT_NE(Create(), nullptr);
  EXPECT_EQ(server_->connections(), 1u);
  arena.reset();
  EXPECT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

TEST_F(ArenaSocketTest, ANewConnectionAfterTheServerHasStopped) {
  auto arena = Create();
  server_.reset();
  server_.emplace(Path());
  EXPECT_NE(Create(), nullptr);
  EXPECT_EQ(arena->Free().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ArenaSocketTest, AnotherAddressIsAnotherConnection) {
  FakeArenaServer other(folder_ / "other");
  const auto arena = Create();
  auto elsewhere = source_.Create(kBytes, {.address = other.address()});
  ASSERT_TRUE(elsewhere.ok()) << elsewhere.status();
  EXPECT_EQ(server_->requests().size(), 1u);
  EXPECT_EQ(other.requests().size(), 1u);
}

// As another user, who is not let into the folder.
class WithoutPrivileges {
 public:
  WithoutPrivileges() : user_(geteuid()) {
    EXPECT_EQ(seteuid(user_ == 0 ? 65534 : user_), 0);
  }
  ~WithoutPrivileges() { EXPECT_EQ(seteuid(user_), 0); }

 private:
  const uid_t user_;
};

TEST_F(ArenaSocketTest, WhereThereIsNoSocketOrdinaryMemoryMayDo) {
  const std::string forbidden = folder_ / "forbidden";
  std::filesystem::create_directory(forbidden);
  const FakeArenaServer hidden(forbidden + "/arenas");
  std::filesystem::permissions(forbidden, std::filesystem::perms::none);
  const std::string nowhere = folder_ / "nowhere";
  source_.Adopt("");
  const auto expect = [&](const std::string& address, absl::StatusCode code,
                          const std::string& what, int error) {
    const absl::Status status =
        source_.Create(kBytes, {.address = address}).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(
        status.message(),
        AllOf(HasSubstr(what), HasSubstr(error ? strerror(error) : "")));
    const auto arena =
        source_.Create(kBytes, {.fall_back = true, .address = address});
    ASSERT_TRUE(arena.ok()) << arena.status();
    EXPECT_FALSE((*arena)->shared());
    EXPECT_EQ((*arena)->memory().size(), kBytes);
    EXPECT_TRUE((*arena)->Allocate(kBytes, 1).ok());
    EXPECT_EQ((*arena)->Free(), absl::OkStatus());
  };
  expect("", absl::StatusCode::kUnimplemented, "TARGET", 0);
  expect("unix:" + nowhere, absl::StatusCode::kUnavailable, nowhere, ENOENT);
  const WithoutPrivileges user;
  expect(hidden.address(), absl::StatusCode::kPermissionDenied, forbidden,
         EACCES);
}

TEST_F(ArenaSocketTest, AddressesThatCannotBe) {
  for (const std::string& address :
       {std::string("127.0.0.1:1"), std::string("unix:"), std::string("unix"),
        "unix:/" + std::string(107, 'x')}) {
    const absl::Status status =
        source_.Create(kBytes, {.fall_back = true, .address = address})
            .status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(status.message(), HasSubstr("address"));
  }
}

}  // namespace
}  // namespace lossd
