#ifndef LOSSD_SERVER_METRICS_CODE_COUNTERS_H_
#define LOSSD_SERVER_METRICS_CODE_COUNTERS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/labels.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"

namespace lossd {

// Counters that differ by a status code. Thread-safe; a code's counter is
// looked up once, since a look-up costs microseconds.
class CodeCounters {
 public:
  // Of the 17 codes.
  static constexpr size_t kCodes = 17;

  CodeCounters(prometheus::Family<prometheus::Counter>& family,
               prometheus::Labels labels)
      : family_(family), labels_(std::move(labels)) {}

  // A counter that has been made is on the page before it counts anything.
  void Make(absl::StatusCode code) { Of(code); }
  void Increment(absl::StatusCode code, double amount = 1) {
    Of(code).Increment(amount);
  }

 private:
  prometheus::Counter& Of(absl::StatusCode code) {
    std::atomic<prometheus::Counter*>& slot =
        counters_.at(static_cast<size_t>(code) % kCodes);
    prometheus::Counter* counter = slot.load(std::memory_order_acquire);
    if (counter == nullptr) {
      prometheus::Labels labels = labels_;
      labels["code"] = absl::StatusCodeToString(code);
      // Two threads at once get the same counter.
      counter = &family_.Add(labels);
      slot.store(counter, std::memory_order_release);
    }
    return *counter;
  }

  prometheus::Family<prometheus::Counter>& family_;
  const prometheus::Labels labels_;
  // Null until a counter is made.
  std::array<std::atomic<prometheus::Counter*>, kCodes> counters_ = {};
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_CODE_COUNTERS_H_
