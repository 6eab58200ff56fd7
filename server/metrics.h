// What lossd counts, and the only place that knows the names.

#ifndef LOSSD_SERVER_METRICS_H_
#define LOSSD_SERVER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/arena/arena_registry.h"
#include "server/buffer_pool.h"
#include "server/memory_budget.h"

namespace lossd {

// Counters that differ by a status code. Thread-safe; a code's counter is
// looked up once, since a look-up costs microseconds.
class CodeCounters {
 public:
  CodeCounters(prometheus::Family<prometheus::Counter>& family,
               prometheus::Labels labels);
  void Increment(absl::StatusCode code, double amount = 1);

 private:
  prometheus::Family<prometheus::Counter>& family_;
  const prometheus::Labels labels_;
  // One for each of the 17 codes; null until it is first counted.
  std::array<std::atomic<prometheus::Counter*>, 17> counters_ = {};
};

// All metrics of a server. Thread-safe.
class Metrics {
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
    Rpc(Metrics& metrics, Method method);
    ~Rpc();
    Rpc(const Rpc&) = delete;
    Rpc& operator=(const Rpc&) = delete;

    void Received(size_t bytes);
    void Sent(size_t bytes);
    // The RPC's status; UNKNOWN if this is never called.
    void Finish(absl::StatusCode code) { code_ = code; }
    absl::StatusCode code() const { return code_; }

   private:
    struct Counters;
    friend class Metrics;

    Metrics& metrics_;
    Counters& counters_;
    absl::StatusCode code_ = absl::StatusCode::kUnknown;
    const std::chrono::steady_clock::time_point start_;
  };

  explicit Metrics(int compute_threads);
  // No RPC may be left.
  ~Metrics();

  // RPCs that have begun and not ended.
  int in_flight() const { return in_flight_; }

  // Items that ended alike; `loss` is a name of the registry, or else counted
  // as "unknown". Elements count for items that were computed.
  void CountItems(const std::string& loss, absl::StatusCode code, size_t items,
                  size_t elements);

  // Seconds that compute threads were taken by requests, added up over them.
  void AddBusySeconds(double seconds);

  void SetQueueDepth(size_t requests);

  // To be set before the page is read.
  void SetMemory(const MemoryBudget::Figures& budget,
                 const BufferPool::Figures& pool);

  // To be set before the page is read.
  void SetArenas(const ArenaRegistry::Figures& arenas, size_t connections,
                 uint64_t refused_connections);

  // The whole page in Prometheus's text format.
  std::string Text() const;

 private:
  struct LossCounters;

  std::atomic<int> in_flight_ = 0;
  prometheus::Registry registry_;
  std::shared_ptr<prometheus::Collectable> process_;
  std::array<std::unique_ptr<Rpc::Counters>, 5> methods_;
  std::map<std::string, std::unique_ptr<LossCounters>> losses_;
  prometheus::Counter* busy_seconds_ = nullptr;
  prometheus::Gauge* queue_depth_ = nullptr;
  prometheus::Gauge* memory_budget_ = nullptr;
  prometheus::Gauge* memory_reserved_ = nullptr;
  prometheus::Gauge* memory_waiting_ = nullptr;
  prometheus::Gauge* pool_used_ = nullptr;
  prometheus::Gauge* pool_free_ = nullptr;
  prometheus::Gauge* arenas_ = nullptr;
  prometheus::Gauge* arena_bytes_ = nullptr;
  prometheus::Gauge* arena_connections_ = nullptr;
  prometheus::Counter* arenas_created_ = nullptr;
  prometheus::Counter* arenas_refused_ = nullptr;
  prometheus::Counter* arena_connections_refused_ = nullptr;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_H_
