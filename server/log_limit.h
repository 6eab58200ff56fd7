// How much may be logged.

#ifndef LOSSD_SERVER_LOG_LIMIT_H_
#define LOSSD_SERVER_LOG_LIMIT_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace lossd {

// Lets through so many of an event a second: callers cause some of them, and
// one of these must not fill a disk. Thread-safe.
class LogLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr int kEachSecond = 20;

  // Whether this one may be logged; `suppressed` is how many of the event were
  // not since the last that was.
  bool Allow(std::string_view event, Time now, int64_t* suppressed);

  // As if nothing had been logged.
  void Reset();

 private:
  struct Count {
    Time start;
    int allowed = 0;
    int64_t suppressed = 0;
  };

  std::mutex mutex_;
  // Events are names in the program: there are few.
  std::map<std::string, Count, std::less<>> counts_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_LOG_LIMIT_H_
