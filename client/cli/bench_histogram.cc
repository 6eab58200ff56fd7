#include "client/cli/bench_histogram.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace lossd::cli {
namespace {

// Buckets to a doubling.
constexpr size_t kBuckets = 1024;
static_assert(LatencyHistogram::kRelativeError * kBuckets == 1);

// Below 2 * kBuckets a bucket is one number; from there on buckets are twice as
// wide with every doubling.
size_t BucketOf(uint64_t number) {
  if (number < 2 * kBuckets) return number;
  const auto shift = static_cast<size_t>(std::bit_width(number / kBuckets)) - 1;
  return shift * kBuckets + (number >> shift);
}

// The largest number of a bucket.
uint64_t EndOf(size_t bucket) {
  if (bucket < 2 * kBuckets) return bucket;
  const size_t shift = bucket / kBuckets - 1;
  return ((bucket - shift * kBuckets + 1) << shift) - 1;
}

}  // namespace

LatencyHistogram::LatencyHistogram()
    : buckets_(BucketOf(std::chrono::nanoseconds::max().count()) + 1) {}

void LatencyHistogram::Add(std::chrono::nanoseconds latency) {
  const auto number =
      static_cast<uint64_t>(std::max(int64_t{0}, int64_t{latency.count()}));
  ++buckets_[BucketOf(number)];
  min_ = count_ == 0 ? number : std::min(min_, number);
  max_ = std::max(max_, number);
  ++count_;
}

std::chrono::nanoseconds LatencyHistogram::Quantile(int64_t per_mille) const {
  const int64_t rank = (count_ * per_mille + 999) / 1000;
  int64_t seen = 0;
  size_t bucket = 0;
  while (bucket < buckets_.size() && (seen += buckets_[bucket]) < rank) {
    ++bucket;
  }
  return Duration(std::min(EndOf(bucket), max_));
}

}  // namespace lossd::cli
