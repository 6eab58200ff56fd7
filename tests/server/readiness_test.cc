#include "server/readiness.h"

#include <gtest/gtest.h>

namespace lossd {
namespace {

TEST(ReadinessTest, OnlyWhileItServes) {
  Readiness readiness(100);
  EXPECT_FALSE(readiness.ready());
  readiness.Serve();
  EXPECT_TRUE(readiness.ready());
  EXPECT_FALSE(readiness.draining());
  readiness.Drain();
  EXPECT_FALSE(readiness.ready());
  EXPECT_TRUE(readiness.draining());
}

TEST(ReadinessTest, AFullQueueHasToEmptyByHalf) {
  Readiness readiness(100);
  readiness.Serve();
  readiness.SetJobs(89);
  EXPECT_TRUE(readiness.ready());
  readiness.SetJobs(90);
  EXPECT_FALSE(readiness.ready());
  EXPECT_TRUE(readiness.serving());
  readiness.SetJobs(51);
  EXPECT_FALSE(readiness.ready());
  readiness.SetJobs(50);
  EXPECT_TRUE(readiness.ready());
  readiness.SetJobs(89);
  EXPECT_TRUE(readiness.ready());
}

}  // namespace
}  // namespace lossd
