#ifndef LOSSD_SERVER_METRICS_SHARDED_HISTOGRAM_H_
#define LOSSD_SERVER_METRICS_SHARDED_HISTOGRAM_H_

#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/labels.h>
#include <prometheus/metric_family.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace lossd {

// A histogram into which threads count without waiting for each other, other
// than prometheus-cpp's own, which locks: each thread has a shard, which it
// shares only where there are more threads than shards. Thread-safe.
class ShardedHistogram {
 public:
  static constexpr size_t kMaxBounds = 16;

  // Upper bounds of the buckets, which belong to them: ascending, at most
  // kMaxBounds. One more bucket has no bound.
  explicit ShardedHistogram(std::vector<double> bounds);

  // Any number but NaN.
  void Observe(double value);

  // The count is that of the buckets; the sum may lack, or have already, what
  // is just being observed.
  prometheus::ClientMetric Collect() const;

 private:
  static constexpr size_t kShards = 8;
  struct alignas(64) Shard {
    std::array<std::atomic<uint64_t>, kMaxBounds + 1> buckets = {};
    std::atomic<double> sum = 0;
  };

  const std::vector<double> bounds_;
  std::array<Shard, kShards> shards_;
};

// Histograms of one name, which differ by their labels.
class HistogramFamily final : public prometheus::Collectable {
 public:
  HistogramFamily(std::string name, std::string help,
                  std::vector<double> bounds);

  // Valid as long as this. Not beside Collect.
  ShardedHistogram& Add(const prometheus::Labels& labels);

  // Thread-safe.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  struct Series {
    Series(const prometheus::Labels& of, const std::vector<double>& bounds);
    std::vector<prometheus::ClientMetric::Label> labels;
    ShardedHistogram histogram;
  };

  const std::string name_;
  const std::string help_;
  const std::vector<double> bounds_;
  std::deque<Series> series_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_SHARDED_HISTOGRAM_H_
