#include "server/log_limit.h"

#include <gtest/gtest.h>

namespace lossd {
namespace {

using std::chrono::milliseconds;

TEST(LogLimitTest, SoManyOfAnEventASecond) {
  LogLimit limit;
  const LogLimit::Time start{};
  int64_t suppressed = -1;
  for (int i = 0; i < LogLimit::kEachSecond; ++i) {
    EXPECT_TRUE(limit.Allow("a", start + milliseconds(i), &suppressed));
    EXPECT_EQ(suppressed, 0);
  }
  EXPECT_FALSE(limit.Allow("a", start + milliseconds(998), &suppressed));
  EXPECT_FALSE(limit.Allow("a", start + milliseconds(999), &suppressed));
  // Others have their own.
  EXPECT_TRUE(limit.Allow("b", start + milliseconds(999), &suppressed));
  EXPECT_EQ(suppressed, 0);
  EXPECT_TRUE(limit.Allow("a", start + milliseconds(1000), &suppressed));
  EXPECT_EQ(suppressed, 2);
  EXPECT_TRUE(limit.Allow("a", start + milliseconds(1001), &suppressed));
  EXPECT_EQ(suppressed, 0);
}

}  // namespace
}  // namespace lossd
