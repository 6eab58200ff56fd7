#include "server/listen/tcp_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kTaken = absl::StatusCode::kFailedPrecondition;

absl::StatusOr<TcpSockets> ListenOn(const std::string& text) {
  return ListenTcp(*ParseListenAddress(text));
}

TEST(TcpSocketsTest, APortThatIsTaken) {
  auto first = ListenOn("127.0.0.1:0");
  ASSERT_THAT(first, IsOk());
  ASSERT_GT(first->port, 0);
  for (const char* host : {"127.0.0.1", "0.0.0.0", "localhost"}) {
    const std::string text = absl::StrCat(host, ":", first->port);
    EXPECT_THAT(ListenOn(text), StatusIs(kTaken, HasSubstr(text)));
  }
  first->sockets.clear();
  EXPECT_THAT(ListenOn(absl::StrCat("127.0.0.1:", first->port)), IsOk());
}

TEST(TcpSocketsTest, AHostWithSeveralAddressesHasOnePort) {
  const auto local = ListenOn("localhost:0");
  ASSERT_THAT(local, IsOk());
  EXPECT_THAT(local->sockets, Not(IsEmpty()));
  const auto again = ListenOn(absl::StrCat("127.0.0.1:", local->port));
  EXPECT_THAT(again, StatusIs(kTaken, HasSubstr("in use")));
}

TEST(TcpSocketsTest, AnAddressOfAnotherMachine) {
  // TEST-NET-1, RFC 5737.
  EXPECT_THAT(ListenOn("192.0.2.1:0"),
              StatusIs(kTaken, HasSubstr("192.0.2.1")));
}

TEST(TcpSocketsTest, AHostThatIsNone) {
  EXPECT_THAT(ListenOn("no.such.host.invalid:0"),
              StatusIs(kTaken, HasSubstr("no.such.host.invalid")));
}

TEST(TcpSocketsTest, WhoCanReachAnAddress) {
  for (const char* text :
       {"127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1"}) {
    const auto loopback = IsLoopback(*ParseListenAddress(text));
    ASSERT_THAT(loopback, IsOk()) << text;
    EXPECT_TRUE(*loopback) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "192.0.2.1:1"}) {
    const auto loopback = IsLoopback(*ParseListenAddress(text));
    ASSERT_THAT(loopback, IsOk()) << text;
    EXPECT_FALSE(*loopback) << text;
  }
}

}  // namespace
}  // namespace lossd
