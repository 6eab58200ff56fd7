// The program: how it starts, refuses to start, and ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/load.h"
#include "tests/server/lossd_process.h"
#include "tests/server/raw_calls.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_sockets.h"

namespace lossd {
namespace {

using test::TempDir;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

const std::vector<std::string> kAnywhere = {
    "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0", "--threads=2"};

std::vector<std::string> Anywhere(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = kAnywhere;
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// A lossd that serves.
struct Lossd {
  explicit Lossd(const std::vector<std::string>& arguments = kAnywhere,
                 const std::vector<std::string>& program = {LOSSD_BIN_DIR
                                                            "/lossd"})
      : process(arguments, program),
        serving(process.AwaitEvent("serving")),
        address(serving["listen"][0]),
        metrics(serving["metrics_listen"]) {}

  // Waits until the server has accepted a call that gets no request yet.
  void AwaitInFlight(int calls) const {
    const std::string line = "lossd_rpc_in_flight{method=\"Compute\"} " +
                             std::to_string(calls) + "\n";
    while (HttpGet(metrics, "/metrics").body.find(line) == std::string::npos) {
      std::this_thread::yield();
    }
  }

  LossdProcess process;
  nlohmann::json serving;
  std::string address;
  std::string metrics;
};

// Exit code 2, and one line on standard error that contains all of these.
void ExpectRefusesToStart(const std::vector<std::string>& arguments,
                          const std::string& text) {
  LossdProcess process(arguments);
  ASSERT_TRUE(process.AwaitEvent("serving").is_null());
  EXPECT_EQ(process.Wait(), 2);
  EXPECT_THAT(process.Errors(),
              AllOf(MatchesRegex("lossd: [^\n]+\n"), HasSubstr(text)));
}

TEST(LossdTest, RefusesFlags) {
  ExpectRefusesToStart({"--colour=red"}, "--colour");
  ExpectRefusesToStart({"--max_message_bytes=2147483648"},
                       "--max_message_bytes");
  ExpectRefusesToStart({"--listen=everywhere"}, "everywhere");
}

TEST(LossdTest, RefusesAddressesThatAreTaken) {
  const TempDir dir;
  const std::string path = "unix:" + (dir / "socket");
  const Lossd first(Anywhere({"--listen=" + path}));
  ExpectRefusesToStart({"--listen=" + first.address, "--metrics_listen="},
                       first.address + ": Address already in use");
  ExpectRefusesToStart({"--listen=" + path, "--metrics_listen="},
                       path + ": somebody answers");
  ExpectRefusesToStart(
      {"--listen=127.0.0.1:0", "--metrics_listen=" + first.metrics},
      first.metrics + ": Address already in use");
  // The first one did not notice.
  std::string reply;
  EXPECT_TRUE(CallRaw(Connect(path), kHealthPath, "", &reply).ok());
  EXPECT_EQ(reply, kServing);
}

TEST(LossdTest, OneAddressGivenTwice) {
  const TempDir dir;
  const std::string path = "unix:" + (dir / "socket");
  ExpectRefusesToStart(
      {"--listen=" + path, "--listen=" + path, "--metrics_listen="},
      path + " twice");
  const std::string same = "unix:" + (dir / "./socket");
  ExpectRefusesToStart(
      {"--listen=" + path, "--listen=" + same, "--metrics_listen=off"},
      same + " twice");
}

TEST(LossdTest, RefusesArenasThatItCannotServe) {
  const TempDir dir;
  const std::string path = "unix:" + (dir / "socket");
  const std::string arenas = "unix:" + (dir / "arenas");
  ExpectRefusesToStart(
      {"--listen=" + path, "--arena_listen=" + path, "--metrics_listen="},
      "cannot serve arenas on " + path);
  ExpectRefusesToStart({"--arena_listen=" + arenas,
                        "--metrics_listen=", "--memory_budget=268435456"},
                       "--arena_listen: a memory budget of 268435456 bytes "
                       "leaves no room");
  const Lossd first(Anywhere({"--arena_listen=" + arenas}));
  ExpectRefusesToStart(
      {"--listen=" + path, "--arena_listen=" + arenas, "--metrics_listen="},
      arenas + ": somebody answers");
  ExpectRefusesToStart({"--listen=" + arenas, "--metrics_listen="},
                       arenas + ": somebody answers");
}

// Owner and group may connect, and nobody else.
TEST(LossdTest, GivesUnixSocketsToAGroup) {
  const TempDir dir;
  const std::string socket = dir / "socket";
  const std::string arenas = dir / "arenas";
  const std::string group = std::to_string(getegid());
  const Lossd lossd({"--listen=unix:" + socket, "--arena_listen=unix:" + arenas,
                     "--socket_group=" + group, "--metrics_listen="});
  for (const std::string& path : {socket, arenas}) {
    struct stat status = {};
    ASSERT_EQ(lstat(path.c_str(), &status), 0) << path;
    EXPECT_EQ(status.st_mode & 0777, 0660) << path;
    EXPECT_EQ(status.st_gid, getegid()) << path;
  }
  ExpectRefusesToStart({"--listen=unix:" + (dir / "other"),
                        "--socket_group=no such group", "--metrics_listen="},
                       "'no such group'");
}

TEST(LossdTest, TakesOverAStaleSocket) {
  const TempDir dir;
  const std::string path = "unix:" + (dir / "socket");
  {
    Lossd killed({"--listen=" + path, "--metrics_listen="});
    killed.process.Signal(SIGKILL);
    EXPECT_EQ(killed.process.Wait(), -SIGKILL);
  }
  ASSERT_TRUE(std::filesystem::exists(dir / "socket"));
  const Lossd next({"--listen=" + path, "--metrics_listen="});
  EXPECT_TRUE(CallRaw(Connect(path), kHealthPath, "", nullptr).ok());
}

TEST(LossdTest, TellsWhatIsInForce) {
  Lossd lossd;
  EXPECT_EQ(lossd.serving["version"], LOSSD_VERSION);
  EXPECT_EQ(lossd.serving["threads_wanted"], 2);
  EXPECT_EQ(lossd.serving["max_message_bytes"], 256 << 20);
  lossd.process.Signal(SIGTERM);
  EXPECT_EQ(lossd.process.Wait(), 0);
  EXPECT_THAT(lossd.process.Errors(), IsEmpty());
}

TEST(LossdTest, MakesOpenMpPassiveAndKeepsItsName) {
  const Lossd lossd;
  const std::string proc = "/proc/" + std::to_string(lossd.process.pid());
  std::ifstream environment(proc + "/environ");
  const std::string text{std::istreambuf_iterator<char>(environment), {}};
  EXPECT_THAT(text, HasSubstr("OMP_WAIT_POLICY="));
  std::string name;
  std::getline(std::ifstream(proc + "/comm"), name);
  EXPECT_EQ(name, "lossd");
}

TEST(LossdTest, ClosesMoreConnectionsThanAreAllowed) {
  const Lossd lossd(Anywhere({"--max_connections=2"}));
  {
    SilentConnection first;
    SilentConnection second;
    first.Open(lossd.address);
    second.Open(lossd.address);
    SilentConnection third;
    third.Open(lossd.address);
    while (!third.Ended()) std::this_thread::yield();
    EXPECT_FALSE(first.Ended());
    EXPECT_FALSE(second.Ended());
  }
  // Their places are free when the server has seen that they are gone.
  while (!CallRaw(Connect(lossd.address), kComputePath, "", nullptr).ok()) {
    std::this_thread::yield();
  }
}

TEST(LossdTest, OutlivesMoreConnectionsThanItHasDescriptors) {
  constexpr int kDescriptors = 64;
  const Lossd lossd(kAnywhere,
                    {"prlimit", "--nofile=64:64", LOSSD_BIN_DIR "/lossd"});
  EXPECT_EQ(lossd.serving["max_connections"], kDescriptors / 4 * 3);
  {
    std::vector<SilentConnection> connections(4 * kDescriptors);
    for (SilentConnection& connection : connections) {
      connection.Open(lossd.address);
    }
    while (!connections.back().Ended()) std::this_thread::yield();
  }
  while (!CallRaw(Connect(lossd.address), kComputePath, "", nullptr).ok()) {
    std::this_thread::yield();
  }
}

TEST(LossdTest, FinishesWhatIsInFlight) {
  for (const int number : {SIGTERM, SIGINT}) {
    Lossd lossd;
    RawStream call(Connect(lossd.address), kComputePath);
    lossd.AwaitInFlight(1);
    lossd.process.Signal(number);
    EXPECT_FALSE(lossd.process.AwaitEvent("draining").is_null());
    EXPECT_TRUE(call.Write(""));
    call.WritesDone();
    std::string reply;
    EXPECT_TRUE(call.Read(&reply));
    EXPECT_TRUE(call.Finish().ok());
    EXPECT_EQ(lossd.process.Wait(), 0);
    EXPECT_THAT(lossd.process.Errors(), IsEmpty());
  }
}

TEST(LossdTest, ServesDuringTheDrainDelayButSaysNo) {
  Lossd lossd(Anywhere({"--drain_delay=3600"}));
  const auto channel = Connect(lossd.address);
  lossd.process.Signal(SIGTERM);
  EXPECT_FALSE(lossd.process.AwaitEvent("draining").is_null());
  EXPECT_TRUE(CallRaw(channel, kComputePath, "", nullptr).ok());
  while (HttpGet(lossd.metrics, "/healthz").code != 503) {
    std::this_thread::yield();
  }
  std::string reply;
  do {
    ASSERT_TRUE(CallRaw(channel, kHealthPath, "", &reply).ok());
  } while (reply != kNotServing);
  lossd.process.Signal(SIGTERM);
  EXPECT_EQ(lossd.process.Wait(), 1);
}

// What systemd hears.
TEST(LossdTest, TellsAServiceManager) {
  const TempDir dir;
  const std::string path = dir / "notify";
  const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_un name = test::UnixName(path);
  ASSERT_EQ(
      bind(manager, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  const auto heard = [manager] {
    std::array<char, 64> text = {};
    const ssize_t size = recv(manager, text.data(), text.size(), 0);
    return std::string(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
  };
  Lossd lossd(kAnywhere,
              {"env", "NOTIFY_SOCKET=" + path, LOSSD_BIN_DIR "/lossd"});
  EXPECT_EQ(heard(), "READY=1");
  lossd.process.Signal(SIGHUP);
  lossd.process.Signal(SIGTERM);
  EXPECT_EQ(heard(), "STOPPING=1");
  EXPECT_EQ(lossd.process.Wait(), 0);
  close(manager);
}

TEST(LossdTest, ASecondSignalCancelsWhatIsInFlight) {
  Lossd lossd(Anywhere({"--drain_timeout=3600"}));
  RawStream call(Connect(lossd.address), kComputePath);
  lossd.AwaitInFlight(1);
  lossd.process.Signal(SIGTERM);
  EXPECT_FALSE(lossd.process.AwaitEvent("draining").is_null());
  lossd.process.Signal(SIGTERM);
  EXPECT_EQ(lossd.process.Wait(), 1);
  EXPECT_FALSE(call.Finish().ok());
}

TEST(LossdTest, TheDrainTimeoutCancelsWhatIsInFlight) {
  Lossd lossd(Anywhere({"--drain_timeout=0.01"}));
  RawStream call(Connect(lossd.address), kComputePath);
  lossd.AwaitInFlight(1);
  lossd.process.Signal(SIGTERM);
  EXPECT_EQ(lossd.process.Wait(), 0);
  EXPECT_FALSE(call.Finish().ok());
}

// That no accepted call is lost, server_test.cc shows.
TEST(LossdTest, SigtermUnderLoad) {
  Lossd lossd;
  Load load(lossd.address);
  load.AwaitSuccesses(20);
  lossd.process.Signal(SIGTERM);
  load.AwaitRefusals();
  EXPECT_EQ(lossd.process.Wait(), 0);
  EXPECT_THAT(lossd.process.Errors(), IsEmpty());
}

}  // namespace
}  // namespace lossd
