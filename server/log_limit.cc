#include "server/log_limit.h"

#include <utility>

namespace lossd {

bool LogLimit::Allow(std::string_view event, Time now, int64_t* suppressed) {
  const std::lock_guard lock(mutex_);
  auto found = counts_.find(event);
  if (found == counts_.end()) {
    found = counts_.emplace(event, Count{.start = now}).first;
  }
  Count& count = found->second;
  if (now - count.start >= std::chrono::seconds(1)) {
    count.start = now;
    count.allowed = 0;
  }
  if (count.allowed == kEachSecond) {
    ++count.suppressed;
    return false;
  }
  ++count.allowed;
  *suppressed = std::exchange(count.suppressed, 0);
  return true;
}

void LogLimit::Reset() {
  const std::lock_guard lock(mutex_);
  counts_.clear();
}

}  // namespace lossd
