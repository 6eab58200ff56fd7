// Latencies of any number of calls, in memory that does not grow with them.

#ifndef LOSSD_CLIENT_CLI_BENCH_HISTOGRAM_H_
#define LOSSD_CLIENT_CLI_BENCH_HISTOGRAM_H_

#include <chrono>
#include <cstdint>
#include <vector>

namespace lossd::cli {

// Counts in buckets that are a thousandth as wide as the latencies in them, as
// HdrHistogram's: 432 KiB, whatever is added.
class LatencyHistogram {
 public:
  // By so much of itself a quantile may be too large; it is never too small.
  static constexpr double kRelativeError = 1.0 / 1024;

  LatencyHistogram();

  // Negative latencies count as 0.
  void Add(std::chrono::nanoseconds latency);

  int64_t count() const { return count_; }

  // Exact; 0 if there is none.
  std::chrono::nanoseconds min() const { return Duration(min_); }
  std::chrono::nanoseconds max() const { return Duration(max_); }

  // What `per_mille` thousandths of all latencies do not exceed: the 990th of
  // 1000 for 990. 0 if there is none. Requires 0 < per_mille <= 1000.
  std::chrono::nanoseconds Quantile(int64_t per_mille) const;

 private:
  static std::chrono::nanoseconds Duration(uint64_t nanoseconds) {
    return std::chrono::nanoseconds(static_cast<int64_t>(nanoseconds));
  }

  std::vector<int64_t> buckets_;
  int64_t count_ = 0;
  uint64_t min_ = 0;
  uint64_t max_ = 0;
};

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_HISTOGRAM_H_
