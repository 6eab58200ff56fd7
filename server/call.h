// What the calls that compute have in common.

#ifndef LOSSD_SERVER_CALL_H_
#define LOSSD_SERVER_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/error_details.h"
#include "server/job.h"
#include "server/metrics.h"

namespace lossd {

// A request this small is computed on gRPC's own thread, which takes tens of
// microseconds: handing it to another one and back would take as long.
inline constexpr size_t kSmallWork = size_t{32} << 10;

// Whether a step of a small request takes no longer. It may have more than some
// tens of items, or items with large tensors of the defaults.
inline bool IsSmallStep(const Job& job) {
  constexpr size_t kSmallStep = size_t{256} << 10;
  return job.units() * job.unit_bytes() <= kSmallStep;
}

// Runs a step on this thread.
inline void RunStep(Job& job, Metrics& metrics) {
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < job.units(); ++i) job.RunUnit(i);
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  metrics.AddBusySeconds(seconds.count());
}

// Runs the steps of a small request on this thread, but for its answer. False
// if it comes to a step that is not small, which is left for the scheduler.
inline bool RunWhileSmall(Job& job, Metrics& metrics) {
  while (IsSmallStep(job)) {
    RunStep(job, metrics);
    if (!job.NextStep()) return true;
  }
  return false;
}

// The server cannot take one more job.
inline absl::Status TooManyJobs() {
  // Some of what is waiting will have been computed.
  constexpr double kDelay = 0.1;
  return TryAgain(
      "too many requests are waiting to be computed, try again later", kDelay);
}

// Puts when to try again, if the status says so, where gRPC's own retries look
// for it.
inline void TellWhenToRetry(const absl::Status& status,
                            grpc::CallbackServerContext& call) {
  const auto delay = RetryDelayOf(status);
  if (!delay) return;
  call.AddTrailingMetadata("grpc-retry-pushback-ms",
                           absl::StrCat(absl::ToInt64Milliseconds(*delay)));
}

// Why the answer of a call is not wanted any more, if it is not: its deadline,
// `cancelled` or gRPC says so, or the server must `abandon` what it has.
inline absl::Status Interruption(const grpc::CallbackServerContext& call,
                                 const std::atomic<bool>& cancelled,
                                 const std::atomic<bool>& abandon) {
  // Another server will have taken this one's place.
  constexpr double kDelay = 1;
  if (call.deadline() < std::chrono::system_clock::now()) {
    return absl::DeadlineExceededError(
        "the deadline passed before the result was computed");
  }
  if (cancelled || call.IsCancelled()) {
    return absl::CancelledError("the call was cancelled");
  }
  if (abandon) return TryAgain("the server is shutting down", kDelay);
  return absl::OkStatus();
}

}  // namespace lossd

#endif  // LOSSD_SERVER_CALL_H_
