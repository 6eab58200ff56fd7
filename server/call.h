// What the calls that compute have in common.

#ifndef LOSSD_SERVER_CALL_H_
#define LOSSD_SERVER_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/auth/identities.h"
#include "server/error_details.h"
#include "server/job.h"
#include "server/metrics/metrics.h"

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

// Work on this thread, which is counted when this goes: to look at the clock
// takes as long as a small step.
class CountedWork {
 public:
  explicit CountedWork(Metrics& metrics) : metrics_(metrics) {}
  ~CountedWork() {
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start_;
    metrics_.resources().CountWork(units_, seconds.count());
  }
  CountedWork(const CountedWork&) = delete;
  CountedWork& operator=(const CountedWork&) = delete;

  void RunStep(Job& job) {
    const size_t units = job.units();
    for (size_t i = 0; i < units; ++i) job.RunUnit(i);
    units_ += units;
  }

 private:
  Metrics& metrics_;
  const std::chrono::steady_clock::time_point start_ =
      std::chrono::steady_clock::now();
  size_t units_ = 0;
};

// Runs the steps of a small request on this thread, but for its answer. False
// if it comes to a step that is not small, which is left for the scheduler.
inline bool RunWhileSmall(Job& job, Metrics& metrics) {
  CountedWork work(metrics);
  while (IsSmallStep(job)) {
    work.RunStep(job);
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

// Counts that a call of `identity` was refused, if `status` says so: for want
// of memory, because of a limit, or of who calls.
inline void CountRefusal(const absl::Status& status, const Identity& identity,
                         Metrics& metrics) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return metrics.Reject(Rejection::kMemory);
    case absl::StatusCode::kResourceExhausted:
      if (!RetryDelayOf(status)) return metrics.Reject(Rejection::kTooLarge);
      if (identity.use != nullptr) ++identity.use->throttled;
      return metrics.Reject(Rejection::kTenantQuota);
    case absl::StatusCode::kUnauthenticated:
      return metrics.Reject(Rejection::kUnauthenticated);
    case absl::StatusCode::kPermissionDenied:
      return metrics.Reject(Rejection::kPermissionDenied);
    default:
      return;
  }
}

// Counts a call that has ended for who called.
inline void CountUse(const Identity& identity, const Metrics::Rpc& rpc) {
  if (identity.use == nullptr) return;
  ++identity.use->calls;
  identity.use->received_bytes += rpc.received();
}

// Whether the answer of one call is still wanted. Thread-safe.
class CallWatch {
 public:
  // All must outlive this. `abandon`: the server must abandon what it has.
  CallWatch(const grpc::CallbackServerContext& call,
            const std::atomic<bool>& abandon, Metrics& metrics)
      : call_(call), abandon_(abandon), metrics_(metrics) {}

  // gRPC says that the call was cancelled.
  void Cancel() {
    cancelled_at_ = Clock::now();
    cancelled_ = true;
  }

  // Some of the work has begun.
  void Begin() { running_ = true; }

  // Why the answer is not wanted any more, if it is not.
  absl::Status Interrupted() const {
    // Another server will have taken this one's place.
    constexpr double kDelay = 1;
    if (call_.deadline() < std::chrono::system_clock::now()) {
      return absl::DeadlineExceededError(
          "the deadline passed before the result was computed");
    }
    if (cancelled_ || call_.IsCancelled()) {
      return absl::CancelledError("the call was cancelled");
    }
    if (abandon_) return TryAgain("the server is shutting down", kDelay);
    return absl::OkStatus();
  }

  // The work is dropped, for this reason of Interrupted. Once.
  void CountDropped(const absl::Status& interrupted) {
    using Seconds = std::chrono::duration<double>;
    CallMetrics& calls = metrics_.calls();
    if (absl::IsDeadlineExceeded(interrupted)) {
      calls.Cancel(
          CancelCause::kDeadline, running_,
          std::max(Seconds(0), Seconds(std::chrono::system_clock::now() -
                                       call_.deadline())));
    } else if (absl::IsCancelled(interrupted)) {
      // gRPC may know it before it says so.
      calls.Cancel(
          CancelCause::kClient, running_,
          cancelled_ ? Clock::now() - cancelled_at_.load() : Seconds(0));
    } else {
      calls.Cancel(CancelCause::kDrain, running_, std::nullopt);
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  const grpc::CallbackServerContext& call_;
  const std::atomic<bool>& abandon_;
  Metrics& metrics_;
  std::atomic<bool> running_ = false;
  std::atomic<bool> cancelled_ = false;
  std::atomic<Clock::time_point> cancelled_at_ = {};
};

}  // namespace lossd

#endif  // LOSSD_SERVER_CALL_H_
