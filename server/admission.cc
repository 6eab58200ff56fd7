#include "server/admission.h"

#include <grpcpp/grpcpp.h>

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/error_details.h"
#include "server/reactor.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

// What the thread sanitizer is told that all timers have in common: it cannot
// see how gRPC orders them.
char timers;

absl::Status NoMemory(int64_t bytes) {
  return TryAgain(absl::StrCat("there is no memory now for the ", bytes,
                               " bytes of this call, try again later"),
                  kNoMemoryDelay);
}

// Takes `bytes` of the share for a call that has `beside` of it already.
absl::Status TakeOf(MemoryShare& share, int64_t bytes, int64_t beside) {
  if (share.Take(bytes)) return absl::OkStatus();
  const int64_t limit = share.limit();
  const std::string text = absl::StrCat(
      "the ", bytes, " bytes of this call are more than is left of the ", limit,
      " that its caller may have in flight");
  const bool never = bytes > limit - beside;
  return never ? LimitExceeded("identity", text)
               : LimitExceededNow("identity", text, kNoMemoryDelay);
}

}  // namespace

absl::StatusOr<std::optional<wire::AnnouncedBytes>> AnnouncedBy(
    const grpc::CallbackServerContext& call) {
  const auto& metadata = call.client_metadata();
  const auto header = metadata.find(wire::kAnnouncedBytesHeader);
  if (header == metadata.end()) return std::nullopt;
  const std::string_view text(header->second.data(), header->second.length());
  wire::AnnouncedBytes announced;
  if (wire::ParseAnnouncedBytes(text, &announced)) return announced;
  return absl::InvalidArgumentError(absl::StrCat(
      "metadata ", wire::kAnnouncedBytesHeader, ": got '",
      CutText(std::string(text), 100),
      "', allowed: the bytes of the request and the reply, \"1024,512\""));
}

absl::Status ReserveMore(MemoryBudget& budget, int64_t bytes,
                         absl::string_view what, int64_t beside,
                         const std::shared_ptr<MemoryShare>& share,
                         MemoryBudget::Reservation* reserved) {
  const int64_t lacking = bytes - reserved->bytes();
  if (lacking <= 0) return absl::OkStatus();
  const int64_t most = budget.figures().budget;
  if (bytes > most - beside) {
    return LimitExceeded(
        "memory_budget",
        absl::StrCat("the ", bytes, " bytes of the ", what, " beside ", beside,
                     " of the same call are more than the memory budget of ",
                     most, " bytes"));
  }
  if (share != nullptr) {
    LOSSD_RETURN_IF_ERROR(TakeOf(*share, lacking, beside + reserved->bytes()));
  }
  auto more = budget.TryReserveMore(lacking);
  if (!more) {
    if (share != nullptr) share->Return(lacking);
    return TryAgain(absl::StrCat("there is no memory now for the ", bytes,
                                 " bytes of the ", what, ", try again later"),
                    kNoMemoryDelay);
  }
  reserved->Add(*std::move(more));
  reserved->BelongTo(share);
  return absl::OkStatus();
}

Admission::~Admission() { AcquireFromGrpc(&timers); }

void Admission::Start(int64_t bytes, std::shared_ptr<MemoryShare> share,
                      Done done) {
  if (share == nullptr) return AskBudget(bytes, std::move(done));
  const absl::Status taken = TakeOf(*share, bytes, 0);
  if (!taken.ok()) return done(taken);
  AskBudget(bytes, [bytes, share = std::move(share), done = std::move(done)](
                       absl::StatusOr<MemoryBudget::Reservation> memory) {
    if (memory.ok()) {
      memory->BelongTo(share);
    } else {
      share->Return(bytes);
    }
    done(std::move(memory));
  });
}

void Admission::AskBudget(int64_t bytes, Done done) {
  if (auto reservation = budget_.TryReserve(bytes)) {
    return done(*std::move(reservation));
  }
  using State = Waiting::State;
  waiting_ = std::make_shared<Waiting>(std::move(done));
  std::function<void(bool)> on_time = [waiting = waiting_, bytes,
                                       &budget = budget_](bool late) {
    AcquireFromGrpc(&timers);
    if (late && waiting->Become(State::kSettled)) {
      budget.GiveUp(waiting->ticket);
      waiting->done(NoMemory(bytes));
    } else if (waiting->state == State::kMemory) {
      { const std::lock_guard ended(waiting->ending_timer); }
      waiting->done(std::move(waiting->memory));
    }
    ReleaseToGrpc(&timers);
  };
  ReleaseToGrpc(&timers);
  timeout_.Set(std::chrono::system_clock::now() + longest_wait_,
               std::move(on_time));
  // Memory often comes from a slice that gRPC is just destroying, which is no
  // place to begin operations: the timer's thread is.
  const auto ticket = budget_.Wait(
      bytes, [waiting = waiting_, this](MemoryBudget::Reservation reservation) {
        const std::lock_guard ending(waiting->ending_timer);
        waiting->memory = std::move(reservation);
        if (waiting->Become(State::kMemory)) {
          timeout_.Cancel();
        } else {
          waiting->memory.Shrink(0);
        }
      });
  if (ticket.ok()) {
    waiting_->ticket = *ticket;
    // Whoever settled it before could not know the ticket.
    if (waiting_->state == State::kSettled) budget_.Cancel(*ticket);
  } else if (waiting_->Become(State::kSettled)) {
    waiting_->done(absl::IsUnavailable(ticket.status())
                       ? NoMemory(bytes)
                       : LimitExceeded("memory_budget",
                                       std::string(ticket.status().message())));
  }
}

void Admission::Cancel() {
  if (waiting_ == nullptr || !waiting_->Become(Waiting::State::kSettled)) {
    return;
  }
  budget_.Cancel(waiting_->ticket);
  waiting_->done(absl::CancelledError("the call was cancelled"));
}

}  // namespace lossd
