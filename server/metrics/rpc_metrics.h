#ifndef LOSSD_SERVER_METRICS_RPC_METRICS_H_
#define LOSSD_SERVER_METRICS_RPC_METRICS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "server/metrics/families.h"

namespace lossd {

// What is counted of RPCs. Thread-safe.
class RpcMetrics {
 public:
  // Labels: the methods of LossService, and "other".
  enum class Method : uint8_t {
    kCompute,
    kComputeStream,
    kListLosses,
    kGetServerInfo,
    kOther,
  };

  // One RPC, counted from construction to destruction. For one thread at a
  // time.
  class Rpc {
   public:
    Rpc(RpcMetrics& metrics, Method method);
    ~Rpc();
    Rpc(const Rpc&) = delete;
    Rpc& operator=(const Rpc&) = delete;

    // Bytes of a message.
    void Received(size_t bytes);
    void Sent(size_t bytes);
    // The RPC's status; UNKNOWN if this is never called.
    void Finish(absl::StatusCode code) { code_ = code; }
    absl::StatusCode code() const { return code_; }
    const char* method() const;
    // Of all messages.
    size_t received() const { return received_.value_or(0); }
    size_t sent() const { return sent_.value_or(0); }
    // Since construction.
    std::chrono::duration<double> age() const {
      return std::chrono::steady_clock::now() - start_;
    }

   private:
    struct Counters;
    friend class RpcMetrics;

    RpcMetrics& metrics_;
    Counters& counters_;
    absl::StatusCode code_ = absl::StatusCode::kUnknown;
    // Of all messages; nothing if there were none.
    std::optional<size_t> received_;
    std::optional<size_t> sent_;
    const std::chrono::steady_clock::time_point start_;
  };

  explicit RpcMetrics(Families& families);
  // No RPC may be left.
  ~RpcMetrics();

  // RPCs that have begun and not ended.
  int in_flight() const { return in_flight_; }

 private:
  std::atomic<int> in_flight_ = 0;
  std::array<std::unique_ptr<Rpc::Counters>, 5> methods_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_RPC_METRICS_H_
