#include "client/cli/bench_histogram.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"

namespace lossd::cli {
namespace {

using std::chrono::nanoseconds;

TEST(LatencyHistogramTest, NothingHasNoLatencies) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.min().count(), 0);
  EXPECT_EQ(histogram.Quantile(500).count(), 0);
  EXPECT_EQ(histogram.max().count(), 0);
}

TEST(LatencyHistogramTest, SmallLatenciesAreExact) {
  LatencyHistogram histogram;
  // Not in order.
  for (int i = 1000; i >= 1; --i) histogram.Add(nanoseconds(i));
  EXPECT_EQ(histogram.count(), 1000);
  EXPECT_EQ(histogram.min().count(), 1);
  EXPECT_EQ(histogram.Quantile(1).count(), 1);
  EXPECT_EQ(histogram.Quantile(500).count(), 500);
  EXPECT_EQ(histogram.Quantile(999).count(), 999);
  EXPECT_EQ(histogram.Quantile(1000).count(), 1000);
  EXPECT_EQ(histogram.max().count(), 1000);
}

// The rank is rounded up: of three the second is the median.
TEST(LatencyHistogramTest, QuantilesOfFew) {
  LatencyHistogram histogram;
  for (const int i : {30, 10, 20}) histogram.Add(nanoseconds(i));
  EXPECT_EQ(histogram.Quantile(500).count(), 20);
  EXPECT_EQ(histogram.Quantile(667).count(), 30);
  EXPECT_EQ(histogram.Quantile(999).count(), 30);
}

TEST(LatencyHistogramTest, QuantilesAreNeverSmallerAndAThousandthLargerAtMost) {
  for (int64_t exact = 1; exact < int64_t{1} << 61; exact += exact / 7 + 1) {
    LatencyHistogram histogram;
    histogram.Add(nanoseconds(exact));
    // Else the maximum would cut the bucket short.
    histogram.Add(nanoseconds::max());
    const auto quantile = histogram.Quantile(500).count();
    EXPECT_GE(quantile, exact);
    EXPECT_LE(static_cast<double>(quantile - exact),
              static_cast<double>(exact) * LatencyHistogram::kRelativeError)
        << exact;
    EXPECT_EQ(histogram.min().count(), exact);
    EXPECT_EQ(histogram.max(), nanoseconds::max());
  }
}

TEST(LatencyHistogramTest, QuantilesDoNotExceedTheMaximum) {
  LatencyHistogram histogram;
  histogram.Add(nanoseconds(1'000'001));
  EXPECT_EQ(histogram.Quantile(500).count(), 1'000'001);
}

TEST(LatencyHistogramTest, NegativeLatenciesCountAsNone) {
  LatencyHistogram histogram;
  histogram.Add(nanoseconds(-5));
  EXPECT_EQ(histogram.count(), 1);
  EXPECT_EQ(histogram.max().count(), 0);
}

}  // namespace
}  // namespace lossd::cli
