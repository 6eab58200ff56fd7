#include "client/cli/bench_schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lossd::cli {

BenchSchedule::BenchSchedule(const BenchLoad& load, BenchTime start)
    : load_(load),
      start_(start),
      end_(load.duration ? start + *load.duration : BenchTime::max()) {}

std::optional<BenchSchedule::Slot> BenchSchedule::Next(BenchTime now) {
  if (!Includes(now)) return std::nullopt;
  const int64_t number = next_.fetch_add(1);
  if (load_.calls && number >= *load_.calls) return std::nullopt;
  const BenchTime when = load_.rate ? When(number) : now;
  if (!Includes(when)) return std::nullopt;
  return Slot{number, when};
}

void BenchSchedule::EndAt(BenchTime end) {
  BenchTime old = end_.load();
  while (end < old && !end_.compare_exchange_weak(old, end)) {
  }
}

int64_t BenchSchedule::Missed(int64_t sent) const {
  if (!load_.rate) return 0;
  const int64_t most =
      load_.calls.value_or(std::numeric_limits<int64_t>::max());
  if (endless()) return most - sent;
  const std::chrono::duration<double> length = end_.load() - start_;
  // The product is rounded; When() decides about the last ones.
  int64_t due = std::max(
      int64_t{0}, static_cast<int64_t>(length.count() * *load_.rate) - 1);
  while (Includes(When(due))) ++due;
  // Who ends it may have looked at the clock before the last were sent.
  return std::max(int64_t{0}, std::min(due, most) - sent);
}

BenchTime BenchSchedule::When(int64_t number) const {
  const std::chrono::duration<double> after(static_cast<double>(number) /
                                            *load_.rate);
  return start_ + std::chrono::duration_cast<std::chrono::nanoseconds>(after);
}

}  // namespace lossd::cli
