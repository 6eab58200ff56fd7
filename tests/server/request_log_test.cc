#include "server/request_log.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lossd {
namespace {

TEST(RequestLogTest, Traceparents) {
  const std::string good =
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(Traceparent(good), good);
  for (const std::string& bad : std::vector<std::string>{
           "", good + "0", good.substr(1), "01" + good.substr(2),
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01"}) {
    EXPECT_EQ(Traceparent(bad), "") << bad;
  }
}

TEST(RequestLogTest, RequestIds) {
  EXPECT_EQ(RequestId("a-B_9.:/x"), "a-B_9.:/x");
  EXPECT_EQ(RequestId(std::string(128, 'x')), std::string(128, 'x'));
  EXPECT_EQ(RequestId(std::string(129, 'x')), "");
  EXPECT_EQ(RequestId("a b"), "");
  EXPECT_EQ(RequestId("a\"b"), "");
}

}  // namespace
}  // namespace lossd
