#include "client/cli/bench_run.h"

#include <sys/prctl.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/bench_expected.h"
#include "client/status.h"

namespace lossd::cli {
namespace {

using client_internal::LoadReply;
using std::chrono::milliseconds;

constexpr milliseconds kSlice(50);
constexpr milliseconds kFirstPause(10);
constexpr milliseconds kLongestPause(1000);

bool Answered(const absl::Status& status) {
  return !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status);
}

void CountError(const absl::Status& status,
                std::map<std::string, int64_t>* errors, BenchFigures* figures) {
  ++(*errors)[absl::StatusCodeToString(status.code())];
  if (figures->first_error.ok()) figures->first_error = status;
}

// Counts the items of a reply. Returns whether all are OK.
bool CountItems(const BenchCall& call, const LoadReply& reply,
                BenchFigures* figures) {
  bool fine = true;
  for (const v1::LossResult& result : reply.response.results()) {
    if (result.status().code() == 0) {
      ++figures->items;
      figures->elements += call.elements;
      continue;
    }
    fine = false;
    CountError(client_internal::FromItem(result.status()),
               &figures->item_errors, figures);
  }
  return fine;
}

bool Differs(const BenchCall& call, const v1::ComputeResponse& response) {
  for (size_t i = 0; i < call.expected.size(); ++i) {
    const v1::LossResult& result = response.results(static_cast<int>(i));
    if (result.status().code() == 0 && !SameBits(result, call.expected[i])) {
      return true;
    }
  }
  return false;
}

class Run {
 public:
  Run(const std::vector<BenchCall>& calls, const BenchOptions& options,
      const BenchHooks& hooks)
      : calls_(calls),
        options_(options),
        hooks_(hooks),
        start_(hooks.clock.now()),
        schedule_(options.load, start_),
        last_answer_(start_) {}

  BenchFigures Do() {
    std::vector<std::thread> callers;
    callers.reserve(static_cast<size_t>(options_.callers));
    for (int i = 0; i < options_.callers; ++i) {
      callers.emplace_back([this, i] { Call(i); });
    }
    for (std::thread& caller : callers) caller.join();
    figures_.length = hooks_.clock.now() - start_;
    figures_.missed = schedule_.Missed(figures_.calls);
    return std::move(figures_);
  }

 private:
  // What one caller does.
  void Call(int caller) {
    // Else the kernel may wake a sleeper 50 us late, for its own convenience.
    prctl(PR_SET_TIMERSLACK, 1);
    milliseconds pause = kFirstPause;
    while (!Stopped()) {
      const auto slot = schedule_.Next(hooks_.clock.now());
      if (!slot || !Await(slot->when)) return;
      const auto index = static_cast<size_t>(slot->number) % calls_.size();
      const auto reply = hooks_.send(caller, calls_[index].request);
      const BenchTime now = hooks_.clock.now();
      Count(calls_[index], reply, now, now - slot->when);
      // With a rate the schedule keeps the callers from spinning.
      if (options_.load.rate || !absl::IsUnavailable(reply.status())) {
        pause = kFirstPause;
        continue;
      }
      if (!Await(now +
                 std::exchange(pause, std::min(2 * pause, kLongestPause)))) {
        return;
      }
    }
  }

  bool Stopped() {
    if (!hooks_.stopped()) return false;
    schedule_.EndAt(hooks_.clock.now());
    return true;
  }

  // Whether what is due at `when`, which has come then, is still to be done.
  bool Await(BenchTime when) {
    BenchTime now = hooks_.clock.now();
    while (now < when && schedule_.Includes(when) && !Stopped()) {
      hooks_.clock.sleep_until(std::min(when, now + kSlice));
      now = hooks_.clock.now();
    }
    return schedule_.Includes(when);
  }

  void Count(const BenchCall& call, const absl::StatusOr<LoadReply>& reply,
             BenchTime now, std::chrono::nanoseconds latency) {
    absl::Status status = reply.status();
    if (status.ok() && reply->response.results_size() != call.items) {
      status = absl::InternalError(absl::StrCat(reply->response.results_size(),
                                                " results for ", call.items,
                                                " items"));
    }
    const bool differs = status.ok() && Differs(call, reply->response);
    std::lock_guard lock(mutex_);
    ++figures_.calls;
    if (Answered(status)) {
      last_answer_ = now;
    } else if (schedule_.endless() && now - last_answer_ >= options_.patience) {
      figures_.gave_up = true;
      schedule_.EndAt(now);
    }
    if (!status.ok()) {
      ++figures_.failed;
      CountError(status, &figures_.errors, &figures_);
      return;
    }
    figures_.sent_bytes += static_cast<int64_t>(call.request.size());
    figures_.received_bytes += reply->bytes;
    if (differs) ++figures_.differing;
    if (CountItems(call, *reply, &figures_)) {
      figures_.latencies.Add(latency);
    } else {
      ++figures_.failed;
    }
  }

  const std::vector<BenchCall>& calls_;
  const BenchOptions& options_;
  const BenchHooks& hooks_;
  const BenchTime start_;
  BenchSchedule schedule_;
  // Guards what follows.
  std::mutex mutex_;
  BenchFigures figures_;
  BenchTime last_answer_;
};

}  // namespace

BenchFigures RunBench(const std::vector<BenchCall>& calls,
                      const BenchOptions& options, const BenchHooks& hooks) {
  return Run(calls, options, hooks).Do();
}

}  // namespace lossd::cli
