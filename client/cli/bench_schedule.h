// Which call of `lossctl bench` is sent next, and when.

#ifndef LOSSD_CLIENT_CLI_BENCH_SCHEDULE_H_
#define LOSSD_CLIENT_CLI_BENCH_SCHEDULE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

namespace lossd::cli {

using BenchTime = std::chrono::steady_clock::time_point;

// What tells the time and lets it pass; tests have one of their own.
struct BenchClock {
  std::function<BenchTime()> now;
  std::function<void(BenchTime)> sleep_until;
};

// How much is to be sent. Ends with whichever of `calls` and `duration` comes
// first; not by itself if both are unset.
struct BenchLoad {
  // Calls a second of all callers together, > 0. Unset: a caller sends when its
  // last call has ended.
  std::optional<double> rate;
  // > 0.
  std::optional<int64_t> calls;
  std::optional<std::chrono::nanoseconds> duration;
};

// Hands out calls to the callers. With a rate the times are fixed from the
// start: a slow answer delays no call but those that find no caller free, and
// these are still due when they were. Thread-safe.
class BenchSchedule {
 public:
  BenchSchedule(const BenchLoad& load, BenchTime start);

  struct Slot {
    // Counts from 0.
    int64_t number = 0;
    // When the call is due, from which its latency counts: `now` without rate.
    BenchTime when;
  };
  // Nothing when all is handed out or the time is over.
  std::optional<Slot> Next(BenchTime now);

  // Ends earlier: what is due at `end` or later is not to be sent.
  void EndAt(BenchTime end);

  // Whether what is due at `when` is to be sent.
  bool Includes(BenchTime when) const { return when < end_.load(); }

  // How many calls no caller was free for: those that were due before the end,
  // less `sent`. 0 without rate.
  int64_t Missed(int64_t sent) const;

  // Whether time alone does not end it.
  bool endless() const { return end_.load() == BenchTime::max(); }

 private:
  BenchTime When(int64_t number) const;

  const BenchLoad load_;
  const BenchTime start_;
  std::atomic<BenchTime> end_;
  std::atomic<int64_t> next_ = 0;
};

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_SCHEDULE_H_
