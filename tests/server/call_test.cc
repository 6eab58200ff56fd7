// What is computed on gRPC's own thread, and how refusals are counted.

#include "server/call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace lossd {
namespace {

struct Step {
  size_t units;
  size_t unit_bytes;
};

class StepsJob final : public Job {
 public:
  explicit StepsJob(std::vector<Step> steps) : steps_(std::move(steps)) {}

  const std::string& caller() const override { return caller_; }
  size_t units() const override { return steps_[step_].units; }
  size_t unit_bytes() const override { return steps_[step_].unit_bytes; }
  void RunUnit(size_t /*unit*/) override { ++ran_; }
  bool NextStep() override { return ++step_ < steps_.size(); }
  bool Unwanted() override { return false; }
  void Answer() override {}

  size_t step() const { return step_; }
  size_t ran() const { return ran_; }

 private:
  const std::string caller_ = "test";
  const std::vector<Step> steps_;
  size_t step_ = 0;
  size_t ran_ = 0;
};

TEST(RunWhileSmallTest, RunsAllOfASmallJob) {
  Metrics metrics(1);
  StepsJob job({{1, 8192}, {0, 1}, {16, 8192}});
  EXPECT_TRUE(RunWhileSmall(job, metrics));
  EXPECT_EQ(job.ran(), 17U);
}

TEST(RunWhileSmallTest, LeavesAStepThatIsNot) {
  Metrics metrics(1);
  StepsJob job({{1, 8192}, {33, 8192}, {1, 1}});
  EXPECT_FALSE(RunWhileSmall(job, metrics));
  EXPECT_EQ(job.step(), 1U);
  EXPECT_EQ(job.ran(), 1U);
}

TEST(CountRefusalTest, TheStatusTellsTheReason) {
  Metrics metrics(1);
  Identity identity;
  identity.use = std::make_shared<IdentityUse>();
  const auto count = [&](const absl::Status& status, int times) {
    for (int i = 0; i < times; ++i) CountRefusal(status, identity, metrics);
  };
  count(TryAgain("later", 1), 1);
  count(LimitExceeded("message", "never"), 2);
  count(LimitExceededNow("identity", "later", 1), 3);
  count(NotAuthenticated("who?"), 4);
  count(NotAllowed("no"), 5);
  count(absl::OkStatus(), 6);
  count(absl::InvalidArgumentError("no reason to refuse"), 7);
  EXPECT_EQ(identity.use->throttled, 3U);
  const std::string page = metrics.Text();
  for (const char* reason : {"memory\"} 1\n", "too_large\"} 2\n",
                             "tenant_quota\"} 3\n", "unauthenticated\"} 4\n",
                             "permission_denied\"} 5\n", "queue_full\"} 0\n"}) {
    EXPECT_THAT(page, testing::HasSubstr(
                          std::string("_rejected_total{reason=\"") + reason));
  }
}

}  // namespace
}  // namespace lossd
