#include "server/arena/arena_listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/logging.h"
#include "tests/server/arena/arena_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_sockets.h"

namespace lossd {
namespace {

using test::OpenDescriptors;
using test::TempDir;

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::NotNull;

constexpr uint32_t kOk = 0;
constexpr uint32_t kInvalidArgument = 3;
constexpr uint32_t kNotFound = 5;
constexpr uint32_t kResourceExhausted = 8;
constexpr int64_t kPage = 4096;
constexpr int64_t kBudget = 64 * kPage;
constexpr ArenaLimits kLimits = {.arenas_per_owner = 4,
                                 .bytes_per_owner = 16 * kPage,
                                 .arenas = 6,
                                 .bytes = 24 * kPage};

class ArenaListenerTest : public testing::Test {
 protected:
  ArenaListenerTest() : ArenaListenerTest(OpenDescriptors()) {}
  ~ArenaListenerTest() override {
    listener_.reset();
    registry_.reset();
    // Whatever the clients have done.
    EXPECT_EQ(OpenDescriptors(), descriptors_before_);
    EXPECT_EQ(budget_.figures().reserved, 0);
  }

  std::string path() const { return dir_ / "arenas"; }
  ArenaListener::Options Options() const {
    return {.address = *ParseListenAddress("unix:" + path())};
  }
  void Start() { Start(Options()); }
  void Start(const ArenaListener::Options& options) {
    auto started = ArenaListener::Start(options, *registry_);
    ASSERT_THAT(started, IsOk());
    listener_ = *std::move(started);
  }
  void WaitForConnections(size_t count) const {
    WaitUntil([&] { return listener_->connections() == count; });
  }
  void WaitForReturn() const {
    WaitUntil([&] { return registry_->figures().bytes == 0; });
    EXPECT_EQ(budget_.figures().reserved, 0);
  }
  std::shared_ptr<Arena> Find(const arena::Id& id) const {
    return registry_->Find(
        {reinterpret_cast<const char*>(id.data()), id.size()});
  }

 private:
  explicit ArenaListenerTest(size_t descriptors)
      : descriptors_before_(descriptors),
        registry_(std::make_unique<ArenaRegistry>(kLimits, budget_)) {}

  const size_t descriptors_before_;

 protected:
  const TempDir dir_;
  MemoryBudget budget_{kBudget, 4};
  std::unique_ptr<ArenaRegistry> registry_;
  std::unique_ptr<ArenaListener> listener_;
};

// The connection is over, after this reply if `text` is not empty.
void ExpectEnd(const ArenaClient& client, uint32_t code,
               const std::string& text) {
  const auto last = client.Receive();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->reply.kind, arena::Kind::kNone);
  EXPECT_EQ(last->reply.tag, 0U);
  EXPECT_EQ(last->reply.code, code);
  EXPECT_THAT(last->reply.text, HasSubstr(text));
  EXPECT_FALSE(client.Receive().has_value());
}

mode_t ModeOf(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0);
  return status.st_mode & 07777U;
}

gid_t GroupOf(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(lstat(path.c_str(), &status), 0);
  return status.st_gid;
}

TEST_F(ArenaListenerTest, AClientSharesMemoryWithTheServer) {
  Start();
  const ArenaClient client(path());
  const auto created = client.Create(3 * kPage);
  EXPECT_EQ(created.reply.code, kOk) << created.reply.text;
  EXPECT_EQ(created.reply.bytes, 3 * kPage);
  EXPECT_EQ(created.reply.text, "");
  EXPECT_EQ(listener_->connections(), 1U);
  auto arena = Find(created.reply.id);
  ASSERT_THAT(arena, NotNull());
  {
    const Mapping mapping(created.file.number());
    ASSERT_EQ(mapping.bytes().size(), 3 * kPage);
    mapping.bytes().back() = std::byte{3};
    EXPECT_EQ(arena->memory().back(), std::byte{3});
  }
  arena.reset();
  EXPECT_EQ(client.Free(created.reply.id).reply.code, kOk);
  EXPECT_EQ(Find(created.reply.id), nullptr);
  EXPECT_EQ(client.Free(created.reply.id).reply.code, kNotFound);
  WaitForReturn();
  // It goes on.
  EXPECT_EQ(client.Create(kPage).reply.code, kOk);
}

TEST_F(ArenaListenerTest, RequestsAreAnsweredInTheirOrder) {
  Start();
  const ArenaClient client(path());
  for (uint64_t tag = 0; tag < 6; ++tag) {
    ASSERT_TRUE(client.Send(
        {.kind = arena::Kind::kCreate, .tag = tag, .bytes = tag * kPage}));
  }
  // 0 bytes are no arena; a fifth one is too many.
  const std::vector<uint32_t> codes = {kInvalidArgument,  kOk, kOk, kOk, kOk,
                                       kResourceExhausted};
  for (uint64_t tag = 0; tag < 6; ++tag) {
    const auto answer = client.Receive();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->reply.tag, tag);
    EXPECT_EQ(answer->reply.code, codes[tag]) << answer->reply.text;
    EXPECT_EQ(answer->file.number() >= 0, codes[tag] == kOk);
    EXPECT_EQ(answer->reply.bytes, codes[tag] == kOk ? tag * kPage : 0);
  }
}

TEST_F(ArenaListenerTest, EachLimitIsAnswered) {
  Start();
  const auto budget = budget_.TryReserve(kBudget - 20 * kPage);
  const ArenaClient first(path());
  const ArenaClient second(path());
  const ArenaClient third(path());
  const auto refused = [](const ArenaClient& client, uint64_t pages) {
    const auto answer = client.Create(pages * kPage);
    EXPECT_EQ(answer.reply.code, kResourceExhausted);
    EXPECT_LT(answer.file.number(), 0);
    return answer.reply.text;
  };
  EXPECT_THAT(refused(first, 17), HasSubstr("bytes of this connection's"));
  EXPECT_EQ(first.Create(13 * kPage).reply.code, kOk);
  EXPECT_THAT(refused(second, 12), HasSubstr("bytes of all arenas"));
  EXPECT_THAT(refused(second, 8), HasSubstr("memory budget"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(first.Create(1).reply.code, kOk);
  EXPECT_THAT(refused(first, 1), HasSubstr("arenas of this connection"));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(second.Create(1).reply.code, kOk);
  EXPECT_THAT(refused(third, 1), HasSubstr("arenas: 6 of 6 taken"));
}

TEST_F(ArenaListenerTest, NobodyFreesWhatIsNotHis) {
  Start();
  const ArenaClient owner(path());
  const ArenaClient other(path());
  const auto created = owner.Create(kPage);
  const auto answer = other.Free(created.reply.id);
  EXPECT_EQ(answer.reply.code, kNotFound);
  EXPECT_EQ(answer.reply.text, other.Free({}).reply.text);
  EXPECT_THAT(Find(created.reply.id), NotNull());
}

TEST_F(ArenaListenerTest, WhoGoesFreesAllThoughHeKeepsTheFiles) {
  Start();
  std::vector<Descriptor> files;
  {
    const ArenaClient client(path());
    for (int i = 0; i < 4; ++i) {
      files.push_back(client.Create(2 * kPage).file);
    }
    const Mapping mapping(files.back().number());
    std::fill(mapping.bytes().begin(), mapping.bytes().end(), std::byte{1});
  }
  WaitForConnections(0);
  WaitForReturn();
  EXPECT_EQ(registry_->figures().arenas, 0U);
  for (const Descriptor& file : files) {
    EXPECT_EQ(BytesInMemory(file.number()), 0);
    // Nor does it harm anybody to look.
    const Mapping mapping(file.number());
    EXPECT_EQ(mapping.bytes().front(), std::byte{0});
  }
}

TEST_F(ArenaListenerTest, WhoSendsNoMoreIsGone) {
  Start();
  const ArenaClient client(path());
  const auto created = client.Create(kPage);
  ASSERT_EQ(shutdown(client.descriptor(), SHUT_WR), 0);
  EXPECT_FALSE(client.Receive().has_value());
  WaitForReturn();
}

TEST_F(ArenaListenerTest, HolesOfTheClientAreZeros) {
  Start();
  const ArenaClient client(path());
  const auto created = client.Create(4 * kPage);
  const auto arena = Find(created.reply.id);
  std::fill(arena->memory().begin(), arena->memory().end(), std::byte{1});
  ASSERT_EQ(fallocate(created.file.number(),
                      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4 * kPage),
            0);
  EXPECT_TRUE(std::all_of(arena->memory().begin(), arena->memory().end(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_NE(ftruncate(created.file.number(), 0), 0);
  EXPECT_NE(fcntl(created.file.number(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST_F(ArenaListenerTest, MalformedRequestsEndTheConnection) {
  Start();
  const auto good =
      arena::Encode(arena::Request{.kind = arena::Kind::kCreate, .bytes = 1});
  const auto with = [&](size_t at, int value) {
    std::vector<std::byte> packet(good.begin(), good.end());
    packet.at(at) = static_cast<std::byte>(value);
    return packet;
  };
  const std::vector<std::pair<std::vector<std::byte>, std::string>> cases = {
      {std::vector<std::byte>(0), "length of the packet is 0, "},
      {{good.begin(), good.end() - 1}, "length of the packet is 47, "},
      {std::vector<std::byte>(49), "length of the packet is 49, "},
      {std::vector<std::byte>(100000), "length of the packet is 100000, "},
      {with(0, 'X'), "magic is 0x58534441"},
      {with(4, 2), "version is 2"},
      {with(6, 3), "kind is 3"},
      {with(24, 1), "byte 24 of a create is 0x01"},
      {with(47, 1), "byte 47 of a request is 0x01"},
  };
  for (const auto& [packet, text] : cases) {
    const ArenaClient client(path());
    EXPECT_EQ(client.Create(kPage).reply.code, kOk);
    ASSERT_TRUE(client.SendPacket(packet)) << text;
    ExpectEnd(client, kInvalidArgument, text);
    WaitForReturn();
  }
}

TEST_F(ArenaListenerTest, TheLastReplyArrivesThoughRequestsFollow) {
  Start();
  const size_t before = OpenDescriptors();
  const ArenaClient client(path());
  // Behind one that keeps the server for a while.
  ASSERT_TRUE(client.Send(
      {.kind = arena::Kind::kCreate, .tag = 1, .bytes = 16 * kPage}));
  ASSERT_TRUE(client.SendPacket(std::vector<std::byte>(1)));
  for (int i = 0; i < 20; ++i) {
    if (!client.Send({.kind = arena::Kind::kCreate, .bytes = 1})) break;
  }
  // The server has closed its end.
  WaitUntil([&] { return registry_->figures().created == 1; });
  WaitForConnections(0);
  WaitUntil([&] { return OpenDescriptors() == before + 1; });
  EXPECT_TRUE(client.Receive().has_value());
  ExpectEnd(client, kInvalidArgument, "length of the packet is 1, ");
}

TEST_F(ArenaListenerTest, DescriptorsAreNotTaken) {
  Start();
  const size_t before = OpenDescriptors();
  const auto good =
      arena::Encode(arena::Request{.kind = arena::Kind::kCreate, .bytes = 1});
  // One, and as many as the kernel lets go at once.
  for (const size_t count : {1U, 253U}) {
    const ArenaClient client(path());
    ASSERT_TRUE(client.SendPacket(good, std::vector<int>(count, STDIN_FILENO)));
    ExpectEnd(client, kInvalidArgument, "descriptors came with the packet");
  }
  WaitUntil([&] { return OpenDescriptors() == before; });
  EXPECT_EQ(registry_->figures().created, 0U);
}

// RPCs need them, and gRPC never accepts again once there was none.
TEST_F(ArenaListenerTest, ArenasTakeNoDescriptors) {
  Start();
  const size_t before = OpenDescriptors();
  {
    const ArenaClient client(path());
    std::vector<Descriptor> files;
    for (int i = 0; i < 4; ++i) files.push_back(client.Create(kPage).file);
    // Both ends of the connection, and what the client has.
    WaitUntil([&] { return OpenDescriptors() <= before + 2 + files.size(); });
  }
  WaitForReturn();
}

TEST_F(ArenaListenerTest, WhoFloodsLeavesNothingBehind) {
  Start();
  const size_t before = OpenDescriptors();
  {
    const ArenaClient client(path());
    for (int i = 0; i < 500; ++i) {
      const auto created = client.Create(kPage);
      // The memory of those before may not be back yet.
      if (created.reply.code == kResourceExhausted) continue;
      EXPECT_EQ(created.reply.code, kOk);
      EXPECT_EQ(client.Free(created.reply.id).reply.code, kOk);
    }
    WaitForReturn();
  }
  for (int i = 0; i < 100; ++i) ArenaClient(path()).Create(kPage);
  WaitForConnections(0);
  WaitForReturn();
  // The threads of the connections have been joined, though the server runs.
  WaitUntil([&] { return OpenDescriptors() == before; });
}

TEST_F(ArenaListenerTest, WhoNeverReadsDoesNotKeepTheServer) {
  Start();
  // How many replies wait in a socket until it is full.
  std::array<int, 2> pair = {};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()),
            0);
  const Descriptor a(pair[0]);
  const Descriptor b(pair[1]);
  // As the server's.
  constexpr int kSendBytes = 4096;
  ASSERT_EQ(setsockopt(a.number(), SOL_SOCKET, SO_SNDBUF, &kSendBytes,
                       sizeof(kSendBytes)),
            0);
  const auto reply = arena::Encode(arena::Reply());
  uint64_t fitting = 0;
  while (send(a.number(), reply.data(), reply.size(), MSG_DONTWAIT) > 0) {
    ++fitting;
  }
  const ArenaClient client(path());
  EXPECT_TRUE(client.Send({.kind = arena::Kind::kCreate, .bytes = kPage}));
  // The one behind those was refused, and its reply is being sent.
  WaitUntil([&] {
    client.SendWithoutWaiting({.kind = arena::Kind::kCreate, .bytes = 0});
    return registry_->figures().refused >= fitting;
  });
  EXPECT_EQ(registry_->figures().arenas, 1U);
  listener_.reset();
  EXPECT_EQ(registry_->figures().arenas, 0U);
}

TEST_F(ArenaListenerTest, ItsEndEndsConnections) {
  Start();
  const ArenaClient idle(path());
  const ArenaClient client(path());
  const auto created = client.Create(kPage);
  auto used = Find(created.reply.id);
  WaitForConnections(2);
  const Mapping mapping(created.file.number());
  mapping.bytes()[0] = std::byte{7};
  listener_.reset();
  EXPECT_FALSE(idle.Receive().has_value());
  EXPECT_FALSE(client.Receive().has_value());
  EXPECT_EQ(Find(created.reply.id), nullptr);
  // Whoever uses it may go on.
  used->memory().back() = std::byte{1};
  used.reset();
  WaitForReturn();
  // What a client still holds does not turn into zeros.
  EXPECT_EQ(mapping.bytes()[0], std::byte{7});
  EXPECT_EQ(mapping.bytes().back(), std::byte{1});
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(ArenaListenerTest, TooManyConnections) {
  ArenaListener::Options options = Options();
  options.max_connections = 2;
  Start(options);
  auto first = std::make_unique<ArenaClient>(path());
  const ArenaClient second(path());
  EXPECT_EQ(first->Create(1).reply.code, kOk);
  EXPECT_EQ(second.Create(1).reply.code, kOk);
  for (int i = 1; i <= 3; ++i) {
    const ArenaClient third(path());
    // Nor does a request sent at once keep it from seeing why.
    third.Send({.kind = arena::Kind::kCreate, .bytes = 1});
    ExpectEnd(third, kResourceExhausted, "connections: 2 of 2 taken, 1 wanted");
    EXPECT_EQ(listener_->refused_connections(), static_cast<uint64_t>(i));
  }
  first.reset();
  WaitForConnections(1);
  const ArenaClient fourth(path());
  EXPECT_EQ(fourth.Create(1).reply.code, kOk);
}

TEST_F(ArenaListenerTest, WithoutDescriptorsClientsWait) {
  Start();
  const ArenaClient first(path());
  WaitForConnections(1);
  const size_t before = OpenDescriptors();
  EXPECT_EQ(first.Create(1).reply.code, kOk);
  // Those of the arena: a number that comes free later would be taken.
  WaitUntil([&] { return OpenDescriptors() == before; });
  const ArenaClient second;
  std::array<int, 2> pipes = {};
  ASSERT_EQ(pipe2(pipes.data(), O_CLOEXEC), 0);
  const Descriptor log(pipes[0]);
  const Descriptor log_end(pipes[1]);
  const Descriptor out = Duplicate(STDOUT_FILENO);
  ASSERT_EQ(dup2(log_end.number(), STDOUT_FILENO), STDOUT_FILENO);
  std::array<char, 1000> text = {};
  const auto refused = WithoutDescriptors([&] {
    second.Connect(path());
    second.Send({.kind = arena::Kind::kCreate, .bytes = 1});
    // The server says that it cannot accept.
    if (read(log.number(), text.data(), text.size() - 1) < 0) perror("read");
    // Those who are there are still served, though not with arenas.
    return first.Create(1).reply.text;
  });
  ASSERT_EQ(dup2(out.number(), STDOUT_FILENO), STDOUT_FILENO);
  EXPECT_THAT(
      text.data(),
      HasSubstr(
          "\"event\":\"accept\",\"for\":\"arenas\",\"error\":\"Too many open"));
  EXPECT_THAT(refused, HasSubstr("Too many open files"));
  const auto answer = second.Receive();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->reply.code, kOk);
}

TEST_F(ArenaListenerTest, LogsWhoCameAndNoIds) {
  Start();
  SetLogLevel("debug");
  testing::internal::CaptureStdout();
  arena::Id id = {};
  {
    const ArenaClient client(path());
    id = client.Create(kPage).reply.id;
    client.Create(kPage);
    const auto freed = client.Create(kPage);
    client.Free(freed.reply.id);
  }
  WaitForConnections(0);
  SetLogLevel("info");
  const std::string log = testing::internal::GetCapturedStdout();
  EXPECT_THAT(log, HasSubstr(absl::StrCat("\"event\":\"arena_connected\","
                                          "\"connection\":1,\"pid\":",
                                          getpid(), ",\"uid\":", getuid(),
                                          ",\"gid\":", getgid(), "}")));
  EXPECT_THAT(log,
              HasSubstr("\"event\":\"arena_disconnected\",\"connection\":1,"
                        "\"arenas\":2,\"bytes\":8192,"));
  const auto digits = [&](size_t byte) {
    return absl::StrCat(
        absl::Hex(std::to_integer<int>(id[byte]), absl::kZeroPad2));
  };
  const std::string start = digits(0) + digits(1);
  EXPECT_THAT(log, HasSubstr("\"arena\":\"" + start + "\""));
  EXPECT_THAT(log, Not(HasSubstr(start + digits(2))));
}

TEST_F(ArenaListenerTest, TheFileIsForItsOwnerAndOneGroup) {
  for (const mode_t mask : {0U, 077U, 0777U}) {
    const mode_t before = umask(mask);
    Start();
    umask(before);
    EXPECT_EQ(ModeOf(path()), 0660U);
    EXPECT_EQ(GroupOf(path()), getegid());
    EXPECT_EQ(ArenaClient(path()).Create(1).reply.code, kOk);
    listener_.reset();
  }
}

TEST_F(ArenaListenerTest, TheGroupHasANameOrANumber) {
  ArenaListener::Options options = Options();
  options.group = absl::StrCat(getegid());
  Start(options);
  EXPECT_EQ(GroupOf(path()), getegid());
  listener_.reset();
  const group* const own = getgrgid(getegid());
  if (own != nullptr) {
    options.group = own->gr_name;
    Start(options);
    EXPECT_EQ(GroupOf(path()), getegid());
    listener_.reset();
  }
  for (const char* unknown : {"no such group", "-1", "4294967295"}) {
    options.group = unknown;
    EXPECT_THAT(
        ArenaListener::Start(options, *registry_),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 HasSubstr(absl::StrCat("'", unknown, "' is neither"))));
    EXPECT_FALSE(std::filesystem::exists(path()));
  }
  options.group = "12345";
  const auto other = ArenaListener::Start(options, *registry_);
  if (geteuid() == 0) {
    ASSERT_THAT(other, IsOk());
    EXPECT_EQ(GroupOf(path()), 12345U);
  } else {
    EXPECT_THAT(other, StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("chown")));
    EXPECT_FALSE(std::filesystem::exists(path()));
  }
}

TEST_F(ArenaListenerTest, APathThatIsTakenAndOneThatIsLeftOver) {
  Start();
  EXPECT_THAT(ArenaListener::Start(Options(), *registry_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("somebody answers there")));
  EXPECT_EQ(ArenaClient(path()).Create(1).reply.code, kOk);
  // As a process leaves it that was killed: nobody listens on a file of that
  // name.
  std::filesystem::rename(path(), dir_ / "kept");
  listener_.reset();
  std::filesystem::rename(dir_ / "kept", path());
  Start();
  EXPECT_EQ(ArenaClient(path()).Create(1).reply.code, kOk);
}

TEST_F(ArenaListenerTest, AFileThatIsNotItsOwnStays) {
  Start();
  std::filesystem::rename(path(), dir_ / "old");
  std::ofstream(path()) << "precious";
  listener_.reset();
  EXPECT_TRUE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace lossd
