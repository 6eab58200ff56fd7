#include "server/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_sockets.h"

namespace lossd {
namespace {

using test::TempDir;

using ::testing::HasSubstr;

constexpr auto kTaken = absl::StatusCode::kFailedPrecondition;

// A socket bound to a Unix path, listening if wanted; closed with this, the
// file stays.
class UnixSocket {
 public:
  UnixSocket(const std::string& path, bool listening, int type = SOCK_STREAM)
      : number_(socket(AF_UNIX, type, 0)) {
    const sockaddr_un name = test::UnixName(path);
    EXPECT_EQ(
        bind(number_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)),
        0);
    EXPECT_TRUE(!listening || listen(number_, 1) == 0);
  }
  ~UnixSocket() { close(number_); }

 private:
  const int number_;
};

absl::Status Check(const std::string& text) {
  const auto address = ParseListenAddress(text);
  return address.ok() ? CheckFree(*address) : address.status();
}

TEST(ListenAddressTest, Parts) {
  const auto tcp = ParseListenAddress("localhost:0");
  ASSERT_THAT(tcp, IsOk());
  EXPECT_EQ(tcp->host, "localhost");
  EXPECT_EQ(WithPort(*tcp, 1234), "localhost:1234");
  const auto ipv6 = ParseListenAddress("[::1]:80");
  ASSERT_THAT(ipv6, IsOk());
  EXPECT_EQ(ipv6->host, "::1");
  EXPECT_EQ(ipv6->port, 80);
  EXPECT_EQ(WithPort(*ipv6, 81), "[::1]:81");
  const auto path = ParseListenAddress("unix:/tmp/a:b");
  ASSERT_THAT(path, IsOk());
  EXPECT_EQ(path->unix_path, "/tmp/a:b");
  EXPECT_EQ(WithPort(*path, 1), "unix:/tmp/a:b");
}

TEST(ListenAddressTest, TheSameSocket) {
  const auto same = [](const std::string& a, const std::string& b) {
    return SameSocket(*ParseListenAddress(a), *ParseListenAddress(b));
  };
  EXPECT_TRUE(same("127.0.0.1:80", "127.0.0.1:80"));
  EXPECT_FALSE(same("127.0.0.1:80", "127.0.0.2:80"));
  EXPECT_FALSE(same("127.0.0.1:80", "127.0.0.1:81"));
  EXPECT_FALSE(same("127.0.0.1:0", "127.0.0.1:0"));
  EXPECT_FALSE(same("127.0.0.1:80", "unix:/d/s"));
  for (const char* path : {"unix:/d/s", "unix:/d/./s", "unix://d/e/../s"}) {
    EXPECT_TRUE(same("unix:/d/s", path)) << path;
  }
  EXPECT_FALSE(same("unix:/d/s", "unix:/d/t"));
}

TEST(ListenAddressTest, PathsThatNoSocketCanHave) {
  EXPECT_THAT(ParseListenAddress("unix:/" + std::string(108, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("107")));
}

TEST(ListenAddressTest, APortThatIsTaken) {
  const int number = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(name);
  ASSERT_EQ(bind(number, reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(listen(number, 1), 0);
  ASSERT_EQ(getsockname(number, reinterpret_cast<sockaddr*>(&name), &size), 0);
  const int port = ntohs(name.sin_port);
  for (const char* host : {"127.0.0.1", "0.0.0.0", "localhost"}) {
    const std::string text = absl::StrCat(host, ":", port);
    EXPECT_THAT(Check(text), StatusIs(kTaken, HasSubstr(text)));
  }
  close(number);
  EXPECT_THAT(Check(absl::StrCat("127.0.0.1:", port)), IsOk());
}

TEST(ListenAddressTest, AnAddressOfAnotherMachine) {
  // TEST-NET-1, RFC 5737.
  EXPECT_THAT(Check("192.0.2.1:0"), StatusIs(kTaken, HasSubstr("192.0.2.1")));
}

TEST(ListenAddressTest, APathOnWhichSomebodyAnswers) {
  const TempDir dir;
  const UnixSocket socket(dir / "s", true);
  EXPECT_THAT(Check("unix:" + (dir / "s")),
              StatusIs(kTaken, HasSubstr("answers")));
  EXPECT_TRUE(std::filesystem::exists(dir / "s"));
}

TEST(ListenAddressTest, APathOnWhichPacketsAreAnswered) {
  const TempDir dir;
  const UnixSocket socket(dir / "s", true, SOCK_SEQPACKET);
  EXPECT_THAT(Check("unix:" + (dir / "s")),
              StatusIs(kTaken, HasSubstr("answers")));
  EXPECT_TRUE(std::filesystem::exists(dir / "s"));
}

TEST(ListenAddressTest, AStaleSocketFileIsRemoved) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
    const TempDir dir;
    { const UnixSocket socket(dir / "s", true, type); }
    ASSERT_TRUE(std::filesystem::exists(dir / "s"));
    EXPECT_THAT(Check("unix:" + (dir / "s")), IsOk());
    EXPECT_FALSE(std::filesystem::exists(dir / "s"));
  }
}

TEST(ListenAddressTest, AFileThatIsNoSocketIsLeftAlone) {
  const TempDir dir;
  std::ofstream(dir / "file") << "precious";
  EXPECT_THAT(Check("unix:" + (dir / "file")),
              StatusIs(kTaken, HasSubstr("no socket")));
  EXPECT_TRUE(std::filesystem::exists(dir / "file"));
}

TEST(ListenAddressTest, AFolderThatIsNotThere) {
  const TempDir dir;
  EXPECT_THAT(Check("unix:" + (dir / "none/s")),
              StatusIs(kTaken, HasSubstr("No such file")));
}

}  // namespace
}  // namespace lossd
