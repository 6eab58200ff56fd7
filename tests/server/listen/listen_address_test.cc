#include "server/listen/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;

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

}  // namespace
}  // namespace lossd
