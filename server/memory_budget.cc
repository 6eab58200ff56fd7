#include "server/memory_budget.h"

#include <algorithm>
#include <cassert>
#include <list>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

struct Waiter {
  MemoryBudget::Ticket ticket = 0;
  int64_t bytes = 0;
  MemoryBudget::Ready ready;
  // Once there is room.
  MemoryBudget::Reservation reservation;
};

// Moved by splicing alone: making room must not need memory.
using Waiters = std::list<Waiter>;

void CallReady(Waiters admitted) noexcept {
  // A `ready` may drop what it got, which admits others: they are called from
  // here too, or the stack would grow with the number of those who wait.
  thread_local Waiters* calling = nullptr;
  if (calling != nullptr) {
    calling->splice(calling->end(), admitted);
    return;
  }
  calling = &admitted;
  while (!admitted.empty()) {
    Waiter next = std::move(admitted.front());
    admitted.pop_front();
    next.ready(std::move(next.reservation));
  }
  calling = nullptr;
}

// How many bytes came back in the last two spans of kLongestWait.
class Returned {
 public:
  using Time = MemoryBudget::Clock::time_point;

  void Add(int64_t bytes, Time now) {
    Turn(now);
    latest_ += bytes;
  }
  // In one of the spans.
  int64_t InASpan(Time now) {
    Turn(now);
    return std::max(latest_, before_);
  }

 private:
  void Turn(Time now) {
    const auto spans = (now - start_) / MemoryBudget::kLongestWait;
    if (spans == 0) return;
    before_ = spans == 1 ? latest_ : 0;
    latest_ = 0;
    start_ += spans * MemoryBudget::kLongestWait;
  }

  Time start_;
  int64_t latest_ = 0;
  int64_t before_ = 0;
};

}  // namespace

struct MemoryBudget::State : std::enable_shared_from_this<State> {
  State(int64_t bytes, size_t most_waiting,
        std::function<Clock::time_point()> clock)
      : budget(bytes), max_waiting(most_waiting), now(std::move(clock)) {}

  // These need the lock.
  bool HasRoom(int64_t bytes) const { return bytes <= budget - reserved; }
  bool AtOnce(int64_t bytes) const {
    return bytes == 0 || (waiting.empty() && HasRoom(bytes));
  }
  // Whether one more, for so many bytes, would wait in vain.
  bool TooManyWait(int64_t bytes) {
    if (waiting.size() >= max_waiting) return true;
    // Who has room waits for those before him, who get theirs or give up.
    if (waiting.empty() || HasRoom(bytes) ||
        now() >= gave_up + std::chrono::seconds(1)) {
      return false;
    }
    return waiting_bytes + bytes > returned.InASpan(now());
  }
  Waiters Remove(Waiters::iterator begin, Waiters::iterator end) {
    Waiters removed;
    removed.splice(removed.end(), waiting, begin, end);
    for (const Waiter& waiter : removed) waiting_bytes -= waiter.bytes;
    return removed;
  }
  Reservation Take(int64_t bytes) {
    reserved += bytes;
    high_water = std::max(high_water, reserved);
    return {shared_from_this(), bytes};
  }
  Waiters Admit() {
    auto end = waiting.begin();
    for (; end != waiting.end() && HasRoom(end->bytes); ++end) {
      end->reservation = Take(end->bytes);
    }
    return Remove(waiting.begin(), end);
  }

  // Takes the lock.
  void Return(int64_t bytes) {
    std::unique_lock lock(mutex);
    reserved -= bytes;
    returned.Add(bytes, now());
    Waiters admitted = Admit();
    lock.unlock();
    CallReady(std::move(admitted));
  }

  const int64_t budget;
  const size_t max_waiting;
  const std::function<Clock::time_point()> now;
  mutable std::mutex mutex;
  int64_t reserved = 0;
  int64_t high_water = 0;
  Ticket last_ticket = 0;
  Waiters waiting;
  int64_t waiting_bytes = 0;
  Returned returned;
  // When somebody last waited in vain.
  Clock::time_point gave_up = Clock::time_point::min();
};

MemoryBudget::Reservation::Reservation(std::shared_ptr<State> state,
                                       int64_t bytes)
    : state_(std::move(state)), bytes_(bytes) {}

MemoryBudget::Reservation::Reservation(Reservation&& other) noexcept
    : state_(std::move(other.state_)),
      share_(std::move(other.share_)),
      bytes_(std::exchange(other.bytes_, 0)) {}

MemoryBudget::Reservation& MemoryBudget::Reservation::operator=(
    Reservation&& other) noexcept {
  // What this held goes back with `old`.
  Reservation old(std::move(*this));
  state_ = std::move(other.state_);
  share_ = std::move(other.share_);
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void MemoryBudget::Reservation::Shrink(int64_t to) {
  assert(0 <= to && to <= bytes_);
  const int64_t returned = bytes_ - to;
  bytes_ = to;
  if (returned == 0) return;
  // First, since whoever gets the room may be of the same share.
  if (share_ != nullptr) share_->Return(returned);
  state_->Return(returned);
}

MemoryBudget::Reservation MemoryBudget::Reservation::Split(int64_t bytes) {
  assert(0 <= bytes && bytes <= bytes_);
  bytes_ -= bytes;
  Reservation part(state_, bytes);
  part.share_ = share_;
  return part;
}

void MemoryBudget::Reservation::Add(Reservation other) {
  assert(other.share_ == nullptr);
  if (state_ == nullptr) state_ = other.state_;
  bytes_ += std::exchange(other.bytes_, 0);
}

void MemoryBudget::Reservation::BelongTo(std::shared_ptr<MemoryShare> share) {
  share_ = std::move(share);
}

MemoryBudget::MemoryBudget(int64_t bytes, size_t max_waiting,
                           std::function<Clock::time_point()> now)
    : state_(std::make_shared<State>(bytes, max_waiting, std::move(now))) {}

MemoryBudget::~MemoryBudget() {
  Waiters dropped;
  const std::lock_guard lock(state_->mutex);
  dropped.swap(state_->waiting);
}

std::optional<MemoryBudget::Reservation> MemoryBudget::TryReserve(
    int64_t bytes) {
  assert(bytes >= 0);
  const std::lock_guard lock(state_->mutex);
  if (!state_->AtOnce(bytes)) return std::nullopt;
  return state_->Take(bytes);
}

std::optional<MemoryBudget::Reservation> MemoryBudget::TryReserveMore(
    int64_t bytes) {
  assert(bytes >= 0);
  const std::lock_guard lock(state_->mutex);
  if (!state_->HasRoom(bytes)) return std::nullopt;
  return state_->Take(bytes);
}

absl::StatusOr<MemoryBudget::Ticket> MemoryBudget::Wait(int64_t bytes,
                                                        Ready ready) {
  assert(bytes >= 0);
  if (bytes > state_->budget) {
    return absl::ResourceExhaustedError(
        absl::StrCat(bytes, " bytes are more than the memory budget of ",
                     state_->budget, " bytes"));
  }
  Waiters added;
  added.push_back({0, bytes, std::move(ready), {}});
  std::unique_lock lock(state_->mutex);
  const Ticket ticket = added.front().ticket = ++state_->last_ticket;
  if (state_->AtOnce(bytes)) {
    added.front().reservation = state_->Take(bytes);
    lock.unlock();
    CallReady(std::move(added));
    return ticket;
  }
  if (state_->TooManyWait(bytes)) {
    return absl::UnavailableError(absl::StrCat(
        state_->waiting.size(), " requests are waiting for memory already"));
  }
  state_->waiting.splice(state_->waiting.end(), added);
  state_->waiting_bytes += bytes;
  return ticket;
}

bool MemoryBudget::Cancel(Ticket ticket) {
  std::unique_lock lock(state_->mutex);
  const auto found = std::find_if(
      state_->waiting.begin(), state_->waiting.end(),
      [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
  if (found == state_->waiting.end()) return false;
  // Destroyed without the lock.
  const Waiters cancelled = state_->Remove(found, std::next(found));
  // It may have been all that those behind it waited for.
  Waiters admitted = state_->Admit();
  lock.unlock();
  CallReady(std::move(admitted));
  return true;
}

void MemoryBudget::GiveUp(Ticket ticket) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->gave_up = state_->now();
  }
  Cancel(ticket);
}

MemoryBudget::Figures MemoryBudget::figures() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->budget, state_->reserved, state_->high_water,
          state_->waiting.size()};
}

}  // namespace lossd
