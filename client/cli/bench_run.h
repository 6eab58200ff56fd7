// The callers of `lossctl bench`, and what they count.

#ifndef LOSSD_CLIENT_CLI_BENCH_RUN_H_
#define LOSSD_CLIENT_CLI_BENCH_RUN_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/bench_histogram.h"
#include "client/cli/bench_schedule.h"
#include "client/load_connection.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::cli {

// A request, ready to be sent any number of times.
struct BenchCall {
  // A serialised v1::ComputeRequest.
  std::string request;
  // Items, and predictions in each of them.
  int64_t items = 0;
  int64_t elements = 0;
  // One for each item if answers are to be compared, else empty.
  std::vector<v1::LossResult> expected;
};

struct BenchFigures {
  // Calls that were sent. `failed` of them: the RPC or one of its items was not
  // OK. `differing` of them: an item that is OK is not what was expected.
  int64_t calls = 0;
  int64_t failed = 0;
  int64_t differing = 0;
  // Calls that were due and that no caller was free for.
  int64_t missed = 0;
  // Failures by name of code: of RPCs, and of items whose RPC is OK.
  std::map<std::string, int64_t> errors;
  std::map<std::string, int64_t> item_errors;
  // The first failure.
  absl::Status first_error;
  // Of RPCs that are OK: items that are OK, their predictions, and messages.
  int64_t items = 0;
  int64_t elements = 0;
  int64_t sent_bytes = 0;
  int64_t received_bytes = 0;
  // Of calls that did not fail, from when they were due until the reply is
  // parsed.
  LatencyHistogram latencies;
  // From the start to the last answer.
  std::chrono::nanoseconds length{0};
  // The server did not answer for `patience`.
  bool gave_up = false;
};

struct BenchOptions {
  // Threads; >= 1.
  int callers = 1;
  BenchLoad load;
  // A run that time does not end, ends when there was no answer but
  // UNAVAILABLE and DEADLINE_EXCEEDED for so long.
  std::chrono::nanoseconds patience{std::chrono::seconds(60)};
};

struct BenchHooks {
  BenchClock clock;
  // Sends a request on behalf of a caller, 0 to callers - 1. Thread-safe.
  std::function<absl::StatusOr<client_internal::LoadReply>(
      int caller, const std::string& request)>
      send;
  // Whether to end early. Thread-safe; asked before every call and 20 times a
  // second.
  std::function<bool()> stopped;
};

// Sends `calls` in turn until the load is sent or time is over, and waits for
// all answers. After UNAVAILABLE a caller without rate pauses, 10 ms at first
// and up to a second. Requires at least one call.
BenchFigures RunBench(const std::vector<BenchCall>& calls,
                      const BenchOptions& options, const BenchHooks& hooks);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_RUN_H_
