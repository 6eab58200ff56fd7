#include "server/metrics/sharded_histogram.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

namespace lossd {
namespace {

// Threads take turns, so that those of a pool are evenly spread.
size_t NumberOfThread() {
  static std::atomic<size_t> threads = 0;
  thread_local const size_t number =
      threads.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace

ShardedHistogram::ShardedHistogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)) {
  assert(bounds_.size() <= kMaxBounds);
  assert(std::ranges::is_sorted(bounds_));
}

void ShardedHistogram::Observe(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value);
  Shard& shard = shards_[NumberOfThread() % kShards];
  shard.buckets[static_cast<size_t>(bucket - bounds_.begin())].fetch_add(
      1, std::memory_order_relaxed);
  shard.sum.fetch_add(value, std::memory_order_relaxed);
}

prometheus::ClientMetric ShardedHistogram::Collect() const {
  prometheus::ClientMetric metric;
  auto& histogram = metric.histogram;
  for (const Shard& shard : shards_) {
    histogram.sample_sum += shard.sum.load(std::memory_order_relaxed);
  }
  for (size_t bucket = 0; bucket <= bounds_.size(); ++bucket) {
    for (const Shard& shard : shards_) {
      histogram.sample_count +=
          shard.buckets[bucket].load(std::memory_order_relaxed);
    }
    histogram.bucket.push_back({histogram.sample_count,
                                bucket < bounds_.size()
                                    ? bounds_[bucket]
                                    : std::numeric_limits<double>::infinity()});
  }
  return metric;
}

HistogramFamily::Series::Series(const prometheus::Labels& of,
                                const std::vector<double>& bounds)
    : histogram(bounds) {
  for (const auto& [name, value] : of) labels.push_back({name, value});
}

HistogramFamily::HistogramFamily(std::string name, std::string help,
                                 std::vector<double> bounds)
    : name_(std::move(name)),
      help_(std::move(help)),
      bounds_(std::move(bounds)) {}

ShardedHistogram& HistogramFamily::Add(const prometheus::Labels& labels) {
  return series_.emplace_back(labels, bounds_).histogram;
}

std::vector<prometheus::MetricFamily> HistogramFamily::Collect() const {
  prometheus::MetricFamily family = {
      name_, help_, prometheus::MetricType::Histogram, {}};
  for (const Series& series : series_) {
    family.metric.push_back(series.histogram.Collect());
    family.metric.back().label = series.labels;
  }
  return {family};
}

}  // namespace lossd
