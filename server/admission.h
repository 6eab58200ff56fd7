// Whether there is memory for a call, asked before its body is read.

#ifndef LOSSD_SERVER_ADMISSION_H_
#define LOSSD_SERVER_ADMISSION_H_

#include <grpcpp/alarm.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/wire/announced_bytes.h"
#include "server/memory_budget.h"

namespace lossd {

// What a client should wait where there is no memory for its call.
inline constexpr double kNoMemoryDelay = 0.2;

// Nothing for calls that announce nothing; INVALID_ARGUMENT for an announcement
// that is none.
absl::StatusOr<std::optional<wire::AnnouncedBytes>> AnnouncedBy(
    const grpc::CallbackServerContext& call);

// Makes `reserved` at least `bytes` large, for a call that has been admitted;
// `what` is what the bytes are of, `beside` what else the call has reserved,
// `share` whose they are, or null. RESOURCE_EXHAUSTED if there can never be so
// many, or if the share has them not; UNAVAILABLE if there are not now.
absl::Status ReserveMore(MemoryBudget& budget, int64_t bytes,
                         absl::string_view what, int64_t beside,
                         const std::shared_ptr<MemoryShare>& share,
                         MemoryBudget::Reservation* reserved);

// Waits for memory, for one call.
class Admission {
 public:
  using Done = std::function<void(absl::StatusOr<MemoryBudget::Reservation>)>;

  // Of one that waits as long as `longest_wait`.
  explicit Admission(
      MemoryBudget& budget,
      std::chrono::milliseconds longest_wait = MemoryBudget::kLongestWait)
      : budget_(budget), longest_wait_(longest_wait) {}
  ~Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // Calls `done` once, perhaps before this returns: with `bytes` of the budget
  // and of `share`, unless that is null; RESOURCE_EXHAUSTED if the share has
  // them not; UNAVAILABLE if the budget has none in time or too many calls
  // wait; RESOURCE_EXHAUSTED if it never has. This must outlive the call of
  // Start, but `done` may let it be destroyed afterwards.
  void Start(int64_t bytes, std::shared_ptr<MemoryShare> share, Done done);

  // If `done` has not been called yet, it is now, with CANCELLED. May run
  // beside anything but Start.
  void Cancel();

 private:
  // Shared with the budget and the timer, which may come after the call's end.
  struct Waiting {
    // kMemory: `memory` is there, and the timer's thread is to deliver it.
    enum class State : uint8_t { kWaiting, kMemory, kSettled };

    explicit Waiting(Done call) : done(std::move(call)) {}
    // True for the first who decides what becomes of it.
    bool Become(State next) {
      State expected = State::kWaiting;
      return state.compare_exchange_strong(expected, next);
    }

    const Done done;
    std::atomic<State> state = State::kWaiting;
    std::atomic<MemoryBudget::Ticket> ticket = 0;
    // Written by the budget alone.
    MemoryBudget::Reservation memory;
    // Held while the budget ends the timer, which is gone when the call is.
    std::mutex ending_timer;
  };

  // Start without a share.
  void AskBudget(int64_t bytes, Done done);

  MemoryBudget& budget_;
  const std::chrono::milliseconds longest_wait_;
  std::shared_ptr<Waiting> waiting_;
  grpc::Alarm timeout_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ADMISSION_H_
