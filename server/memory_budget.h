// How much memory requests and replies may take, and who waits for a part of
// it.

#ifndef LOSSD_SERVER_MEMORY_BUDGET_H_
#define LOSSD_SERVER_MEMORY_BUDGET_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/memory_share.h"

namespace lossd {

// Counts the bytes of requests in hand and of replies not yet sent; it
// allocates nothing. First come, first served: while somebody waits, nobody who
// comes later gets a byte, so large requests are not overtaken for ever. No
// function blocks. All functions are thread-safe; amounts are not negative.
//
// Whatever makes room (a Reservation that ends or shrinks, Cancel) calls, on
// its own thread and under no lock of the budget's, the `ready` of those who
// get that room: the caller must hold no lock that a `ready` takes.
class MemoryBudget {
  struct State;

 public:
  // Bytes taken out of the budget, which go back when this is destroyed or
  // overwritten: on any thread, also after the budget's own end. Empty when
  // default-constructed or moved from. One thread at a time.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation() { Shrink(0); }

    int64_t bytes() const { return bytes_; }
    // Returns what is more than `to` bytes, which is at most bytes().
    void Shrink(int64_t to);
    // Takes `bytes`, at most bytes(), out of this one, to be returned on its
    // own.
    [[nodiscard]] Reservation Split(int64_t bytes);
    // Takes over what `other`, of the same budget and nobody's share, holds:
    // the caller has taken that much out of this one's share.
    void Add(Reservation other);

    // The bytes, which the caller has taken out of `share`, go back to it with
    // those of the budget.
    void BelongTo(std::shared_ptr<MemoryShare> share);
    // Null if they are nobody's.
    MemoryShare* share() const { return share_.get(); }

   private:
    friend class MemoryBudget;
    friend struct State;
    Reservation(std::shared_ptr<State> state, int64_t bytes);

    std::shared_ptr<State> state_;
    std::shared_ptr<MemoryShare> share_;
    int64_t bytes_ = 0;
  };

  // Gets what was waited for. It must not throw.
  using Ready = std::function<void(Reservation)>;
  using Ticket = uint64_t;
  using Clock = std::chrono::steady_clock;

  struct Figures {
    int64_t budget = 0;
    int64_t reserved = 0;
    // The most that was ever reserved at once.
    int64_t high_water = 0;
    size_t waiting = 0;
  };

  // How long calls wait for memory.
  static constexpr std::chrono::milliseconds kLongestWait{100};

  // `bytes` in all; at most `max_waiting` wait. `now` is called under a lock.
  MemoryBudget(int64_t bytes, size_t max_waiting,
               std::function<Clock::time_point()> now = Clock::now);
  // Drops those who still wait: their `ready` is not called.
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Nothing if there is no room now, or others wait for it. There always is
  // room for 0 bytes.
  std::optional<Reservation> TryReserve(int64_t bytes);

  // As TryReserve, for whoever holds a reservation already: those who wait do
  // not come first, since what they wait for is that he ends.
  std::optional<Reservation> TryReserveMore(int64_t bytes);

  // Calls `ready` once, when there is room: perhaps before this returns.
  // Errors, after which `ready` is not called: RESOURCE_EXHAUSTED, more than
  // the whole budget; UNAVAILABLE, too many wait already: more than may, or, if
  // somebody gave up within the last second and there is no room, for more
  // bytes than come back in the time that calls wait.
  absl::StatusOr<Ticket> Wait(int64_t bytes, Ready ready);

  // True if the ticket still waited: its `ready` is never called. False if
  // `ready` was called, or is just about to be.
  bool Cancel(Ticket ticket);

  // As Cancel, of who has waited too long.
  void GiveUp(Ticket ticket);

  Figures figures() const;

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_MEMORY_BUDGET_H_
