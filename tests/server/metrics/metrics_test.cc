// Labels come from closed sets, and what has few is on the page from the start.

#include "server/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace lossd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// What stands before the values.
std::set<std::string> SeriesOf(const Metrics& metrics) {
  std::set<std::string> series;
  std::istringstream page(metrics.Text());
  for (std::string line; std::getline(page, line);) {
    if (line[0] != '#') series.insert(line.substr(0, line.rfind(' ')));
  }
  return series;
}

TEST(MetricsTest, WhatACallerNamesMakesNoSeries) {
  Metrics metrics(1);
  const std::set<std::string> before = SeriesOf(metrics);
  for (const std::string& name :
       {std::string(), std::string("MSE"), std::string("a\"} 1\nforged{b=\""),
        std::string("\0\xff", 2), std::string(1 << 20, 'x')}) {
    metrics.losses().Count(
        {.loss = name, .code = absl::StatusCode::kInvalidArgument, .items = 2});
  }
  EXPECT_EQ(SeriesOf(metrics), before);
  EXPECT_THAT(metrics.Text(),
              HasSubstr("lossd_items_total{code=\"INVALID_ARGUMENT\","
                        "loss=\"unknown\"} 10\n"));
}

TEST(MetricsTest, FewerSeriesThanAScrapeShouldHave) {
  Metrics metrics(1);
  for (const std::string& line : SeriesOf(metrics)) {
    EXPECT_THAT(line, Not(HasSubstr("\n")));
  }
  EXPECT_LT(SeriesOf(metrics).size(), 1000U);
}

TEST(MetricsTest, RatesSeeTheFirstOfItsKind) {
  const std::set<std::string> series = SeriesOf(Metrics(1));
  for (const char* name :
       {"lossd_rpc_completed_total{code=\"INTERNAL\",method=\"Compute\"}",
        "lossd_rpc_completed_total{code=\"OK\",method=\"other\"}",
        "lossd_items_total{code=\"OK\",loss=\"huber\"}",
        "lossd_nonfinite_outputs_total{loss=\"huber\"}",
        "lossd_admission_rejected_total{reason=\"queue_full\"}",
        "lossd_cancelled_total{cause=\"deadline\",phase=\"running\"}",
        "lossd_stream_messages_total{direction=\"sent\"}",
        "lossd_stage_duration_seconds_count{stage=\"encode\"}",
        "lossd_buffer_pool_misses_total", "lossd_work_units_total"}) {
    EXPECT_TRUE(series.contains(name)) << name;
  }
}

TEST(MetricsTest, EveryRejectionHasItsReason) {
  Metrics metrics(1);
  const std::vector<std::pair<Rejection, std::string>> reasons = {
      {Rejection::kQueueFull, "queue_full"},
      {Rejection::kMemory, "memory"},
      {Rejection::kTooLarge, "too_large"},
      {Rejection::kTenantQuota, "tenant_quota"},
      {Rejection::kUnauthenticated, "unauthenticated"},
      {Rejection::kPermissionDenied, "permission_denied"}};
  for (size_t i = 0; i < reasons.size(); ++i) {
    for (size_t j = 0; j <= i; ++j) metrics.Reject(reasons[i].first);
  }
  const std::string page = metrics.Text();
  for (size_t i = 0; i < reasons.size(); ++i) {
    EXPECT_THAT(page, HasSubstr("lossd_admission_rejected_total{reason=\"" +
                                reasons[i].second + "\"} " +
                                std::to_string(i + 1) + "\n"));
  }
}

TEST(MetricsTest, WhatIsDroppedHasACauseAndAPhase) {
  Metrics metrics(1);
  metrics.calls().Cancel(CancelCause::kClient, false,
                         std::chrono::microseconds(300));
  metrics.calls().Cancel(CancelCause::kDeadline, true, std::chrono::seconds(2));
  metrics.calls().Cancel(CancelCause::kDrain, true, std::nullopt);
  const std::string page = metrics.Text();
  for (const char* line :
       {"lossd_cancelled_total{cause=\"client\",phase=\"queued\"} 1\n",
        "lossd_cancelled_total{cause=\"client\",phase=\"running\"} 0\n",
        "lossd_cancelled_total{cause=\"deadline\",phase=\"running\"} 1\n",
        "lossd_cancelled_total{cause=\"drain\",phase=\"queued\"} 0\n",
        "lossd_cancelled_total{cause=\"drain\",phase=\"running\"} 1\n",
        "lossd_cancel_reaction_seconds_bucket{le=\"0.0001\"} 0\n",
        "lossd_cancel_reaction_seconds_bucket{le=\"0.00032\"} 1\n",
        "lossd_cancel_reaction_seconds_bucket{le=\"1\"} 1\n",
        "lossd_cancel_reaction_seconds_count 2\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

// Figures that somebody else counts are no sums of what two pages saw.
TEST(MetricsTest, PagesThatAreReadAtOnce) {
  Metrics metrics(1);
  const auto set = [&metrics] {
    for (int i = 0; i < 1000; ++i) {
      metrics.resources().SetMemory({}, {.misses = 7});
    }
  };
  std::thread other(set);
  set();
  other.join();
  metrics.resources().SetMemory({}, {.misses = 6});
  EXPECT_THAT(metrics.Text(), HasSubstr("lossd_buffer_pool_misses_total 7\n"));
}

class StageTimerTest : public testing::Test {
 protected:
  void ExpectCalls(const std::string& stage, int calls) {
    EXPECT_THAT(metrics_.Text(),
                HasSubstr("lossd_stage_duration_seconds_count{stage=\"" +
                          stage + "\"} " + std::to_string(calls) + "\n"));
  }

  Metrics metrics_{1};
};

TEST_F(StageTimerTest, AStageCountsOnceForACall) {
  {
    StageTimer timer(metrics_.stages());
    for (int wave = 0; wave < 3; ++wave) {
      timer.Enter(Stage::kDecode);
      timer.Enter(Stage::kDecode);
      timer.Enter(Stage::kCompute);
    }
    timer.Leave();
    timer.Leave();
    ExpectCalls("compute", 0);
  }
  ExpectCalls("admission", 0);
  ExpectCalls("decode", 1);
  ExpectCalls("queue", 0);
  ExpectCalls("compute", 1);
  ExpectCalls("encode", 0);
}

TEST_F(StageTimerTest, WhoWaitsGoesOnWithWhatItDid) {
  StageTimer timer(metrics_.stages());
  timer.Wait();
  timer.Finish();
  ExpectCalls("queue", 1);
  ExpectCalls("decode", 0);

  timer.Enter(Stage::kCompute);
  timer.Wait();
  timer.Resume();
  timer.Finish();
  ExpectCalls("queue", 2);
  ExpectCalls("compute", 1);
  ExpectCalls("decode", 0);

  timer.Wait();
  timer.Resume();
  timer.Finish();
  timer.Finish();
  ExpectCalls("queue", 3);
  ExpectCalls("decode", 1);
}

}  // namespace
}  // namespace lossd
