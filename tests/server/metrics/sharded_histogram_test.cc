// Histograms that do not lock count like those of prometheus-cpp.

#include "server/metrics/sharded_histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/histogram.h>

#include <atomic>
#include <cstdint>
#include <latch>
#include <limits>
#include <thread>
#include <vector>

namespace lossd {
namespace {

using ::testing::ElementsAre;

std::vector<uint64_t> CountsOf(const prometheus::ClientMetric& metric) {
  std::vector<uint64_t> counts;
  for (const auto& bucket : metric.histogram.bucket) {
    counts.push_back(bucket.cumulative_count);
  }
  return counts;
}

TEST(ShardedHistogramTest, ABoundBelongsToItsBucket) {
  ShardedHistogram histogram({1, 2, 4});
  for (const double value : {0.0, 1.0, 1.5, 2.0, 4.0, 4.5, 1e300}) {
    histogram.Observe(value);
  }
  const prometheus::ClientMetric metric = histogram.Collect();
  EXPECT_THAT(CountsOf(metric), ElementsAre(2, 4, 5, 7));
  EXPECT_EQ(metric.histogram.sample_count, 7U);
  EXPECT_EQ(metric.histogram.sample_sum, 1e300);
  EXPECT_EQ(metric.histogram.bucket.back().upper_bound,
            std::numeric_limits<double>::infinity());
}

TEST(ShardedHistogramTest, CountsAsPrometheusDoes) {
  const std::vector<double> bounds = {0.001, 0.01, 0.5, 1, 8};
  ShardedHistogram ours(bounds);
  prometheus::Histogram theirs(bounds);
  for (int i = -2; i < 100; ++i) {
    ours.Observe(i * 0.125);
    theirs.Observe(i * 0.125);
  }
  const auto a = ours.Collect().histogram;
  const auto b = theirs.Collect().histogram;
  EXPECT_EQ(a.sample_count, b.sample_count);
  EXPECT_EQ(a.sample_sum, b.sample_sum);
  ASSERT_EQ(a.bucket.size(), b.bucket.size());
  for (size_t i = 0; i < a.bucket.size(); ++i) {
    EXPECT_EQ(a.bucket[i].cumulative_count, b.bucket[i].cumulative_count) << i;
    EXPECT_EQ(a.bucket[i].upper_bound, b.bucket[i].upper_bound) << i;
  }
}

// While somebody reads. Threads get their shards in turn, so that the first and
// the last of these have the same one, and only they go on.
TEST(ShardedHistogramTest, NothingIsLostBetweenThreads) {
  constexpr size_t kThreads = 9;
  constexpr uint64_t kEach = 400'000;
  ShardedHistogram histogram({1, 2});
  std::atomic<bool> ended = false;
  std::thread reader([&] {
    uint64_t before = 0;
    while (!ended) {
      const auto page = histogram.Collect().histogram;
      EXPECT_GE(page.sample_count, before);
      EXPECT_EQ(page.sample_count, page.bucket.back().cumulative_count);
      before = page.sample_count;
    }
  });
  std::latch all(kThreads);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    std::latch observed(1);
    threads.emplace_back([&histogram, &all, &observed, i] {
      histogram.Observe(0);
      observed.count_down();
      all.arrive_and_wait();
      if (i > 0 && i + 1 < kThreads) return;
      for (uint64_t j = 0; j < kEach; ++j) {
        histogram.Observe(static_cast<double>(j % 4));
      }
    });
    observed.wait();
  }
  for (std::thread& thread : threads) thread.join();
  ended = true;
  reader.join();
  const prometheus::ClientMetric metric = histogram.Collect();
  EXPECT_THAT(CountsOf(metric),
              ElementsAre(kThreads + kEach, kThreads + kEach / 2 * 3,
                          kThreads + kEach * 2));
  // 0, 1, 2 and 3 equally often: small integers add up exactly.
  EXPECT_EQ(metric.histogram.sample_sum, kEach * 3);
}

TEST(HistogramFamilyTest, HasItsSeries) {
  HistogramFamily family("name", "help", {1});
  family.Add({{"stage", "a"}}).Observe(0.5);
  family.Add({{"stage", "b"}});
  const auto families = family.Collect();
  ASSERT_EQ(families.size(), 1U);
  EXPECT_EQ(families[0].name, "name");
  EXPECT_EQ(families[0].help, "help");
  EXPECT_EQ(families[0].type, prometheus::MetricType::Histogram);
  ASSERT_EQ(families[0].metric.size(), 2U);
  EXPECT_EQ(families[0].metric[0].label[0].value, "a");
  EXPECT_EQ(families[0].metric[0].histogram.sample_count, 1U);
  EXPECT_EQ(families[0].metric[1].label[0].value, "b");
  EXPECT_EQ(families[0].metric[1].histogram.sample_count, 0U);
}

}  // namespace
}  // namespace lossd
