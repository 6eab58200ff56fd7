#include "server/listen/unix_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace lossd {
namespace {

using test::TempDir;

using ::testing::HasSubstr;

constexpr auto kTaken = absl::StatusCode::kFailedPrecondition;

absl::StatusOr<std::unique_ptr<UnixSocket>> ListenOn(
    const std::string& path, int type = SOCK_STREAM,
    std::optional<gid_t> group = std::nullopt) {
  return UnixSocket::Listen(*ParseListenAddress("unix:" + path), type, group);
}

// Leaves a socket file on which nobody answers.
void LeaveStale(const std::string& path, int type) {
  auto socket = ListenOn(path, type);
  ASSERT_THAT(socket, IsOk());
  // Found again when the socket has taken its own file away.
  std::filesystem::create_hard_link(path, path + ".kept");
  socket->reset();
  std::filesystem::rename(path + ".kept", path);
}

TEST(UnixSocketTest, APathOnWhichSomebodyAnswers) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    const TempDir dir;
    const auto first = ListenOn(dir / "s", type);
    ASSERT_THAT(first, IsOk());
    EXPECT_THAT(ListenOn(dir / "s"), StatusIs(kTaken, HasSubstr("answers")));
    EXPECT_TRUE(std::filesystem::exists(dir / "s"));
  }
}

TEST(UnixSocketTest, AStaleSocketFileIsReplaced) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    const TempDir dir;
    LeaveStale(dir / "s", type);
    ASSERT_TRUE(std::filesystem::exists(dir / "s"));
    EXPECT_THAT(ListenOn(dir / "s"), IsOk());
  }
}

TEST(UnixSocketTest, OneOfManyGetsAStalePath) {
  for (int round = 0; round < 50; ++round) {
    const TempDir dir;
    LeaveStale(dir / "s", SOCK_STREAM);
    std::atomic<int> listening = 0;
    std::atomic<int> done = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto socket = ListenOn(dir / "s");
        listening += socket.ok() ? 1 : 0;
        ++done;
        // Nobody leaves before all have tried.
        while (done < 4) std::this_thread::yield();
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(listening, 1);
  }
}

TEST(UnixSocketTest, LeavesTheFileOfAnother) {
  const TempDir dir;
  auto first = ListenOn(dir / "s");
  ASSERT_THAT(first, IsOk());
  std::filesystem::remove(dir / "s");
  const auto second = ListenOn(dir / "s");
  ASSERT_THAT(second, IsOk());
  first->reset();
  EXPECT_TRUE(std::filesystem::exists(dir / "s"));
}

TEST(UnixSocketTest, OnlyTheGroupConnects) {
  const TempDir dir;
  const auto socket = ListenOn(dir / "s", SOCK_STREAM, getegid());
  ASSERT_THAT(socket, IsOk());
  struct stat status = {};
  ASSERT_EQ(stat((dir / "s").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
  EXPECT_EQ(status.st_gid, getegid());
}

TEST(UnixSocketTest, AFileThatIsNoSocketIsLeftAlone) {
  const TempDir dir;
  std::ofstream(dir / "file") << "precious";
  EXPECT_THAT(ListenOn(dir / "file"), StatusIs(kTaken, HasSubstr("no socket")));
  EXPECT_TRUE(std::filesystem::exists(dir / "file"));
}

// Who holds the lock for ever keeps neither a start nor an end waiting.
TEST(UnixSocketTest, AFolderThatIsLocked) {
  const TempDir dir;
  auto other = ListenOn(dir / "other");
  ASSERT_THAT(other, IsOk());
  const Descriptor lock(
      open((dir / ".").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.number(), LOCK_SH), 0);
  EXPECT_THAT(
      ListenOn(dir / "socket"),
      StatusIs(kTaken, HasSubstr("somebody else has locked its folder")));
  other->reset();
  EXPECT_FALSE(std::filesystem::exists(dir / "other"));
}

TEST(UnixSocketTest, AFolderThatIsNotThere) {
  const TempDir dir;
  EXPECT_THAT(ListenOn(dir / "none/s"),
              StatusIs(kTaken, HasSubstr("No such file")));
}

}  // namespace
}  // namespace lossd
