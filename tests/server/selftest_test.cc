#include "server/selftest.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

TEST(SelfTestTest, KnowsEveryLossAndPassesHere) {
  EXPECT_THAT(RunSelfTest(), IsOk());
}

}  // namespace
}  // namespace lossd
