// What became of calls that were not computed, and what streams do.

#ifndef LOSSD_SERVER_METRICS_CALL_METRICS_H_
#define LOSSD_SERVER_METRICS_CALL_METRICS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "server/metrics/families.h"

namespace lossd {

// Why a call was refused.
enum class Rejection : uint8_t {
  // Too many calls are waiting to be computed.
  kQueueFull,
  // There is no memory now.
  kMemory,
  // It is more than a limit allows, now and ever.
  kTooLarge,
  kTenantQuota,
  kUnauthenticated,
  kPermissionDenied,
};

// Why a call that was admitted, or waited for that, is not computed to its end.
enum class CancelCause : uint8_t {
  // The client went away, or gRPC ended the call.
  kClient,
  kDeadline,
  // The server must end.
  kDrain,
};

// Thread-safe.
class CallMetrics {
 public:
  enum class Direction : uint8_t { kReceived, kSent };

  // A stream that has been admitted, from construction to destruction.
  class OpenStream {
   public:
    explicit OpenStream(CallMetrics& metrics) : gauge_(*metrics.streams_) {
      gauge_.Increment();
    }
    ~OpenStream() { gauge_.Decrement(); }
    OpenStream(const OpenStream&) = delete;
    OpenStream& operator=(const OpenStream&) = delete;

   private:
    prometheus::Gauge& gauge_;
  };

  explicit CallMetrics(Families& families);

  void Reject(Rejection reason);

  // `running`: of its work some has begun. `reaction` is how long the work
  // lasted after it was unwanted, where that is known.
  void Cancel(CancelCause cause, bool running,
              std::optional<std::chrono::duration<double>> reaction);

  void CountStreamMessage(Direction direction) {
    stream_messages_[static_cast<size_t>(direction)]->Increment();
  }

 private:
  struct Phases {
    prometheus::Counter* queued = nullptr;
    prometheus::Counter* running = nullptr;
  };

  std::array<prometheus::Counter*, 6> rejected_ = {};
  std::array<Phases, 3> cancelled_ = {};
  ShardedHistogram* reaction_ = nullptr;
  prometheus::Gauge* streams_ = nullptr;
  std::array<prometheus::Counter*, 2> stream_messages_ = {};
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_CALL_METRICS_H_
