#ifndef LOSSD_SERVER_METRICS_RESOURCE_METRICS_H_
#define LOSSD_SERVER_METRICS_RESOURCE_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "server/arena/arena_registry.h"
#include "server/buffer_pool.h"
#include "server/memory_budget.h"
#include "server/metrics/families.h"

namespace lossd {

// Threads and memory. Thread-safe.
class ResourceMetrics {
 public:
  ResourceMetrics(Families& families, int compute_threads);

  // Units of work that ran, and the seconds that compute threads were taken by
  // them, added up over the threads.
  void CountWork(size_t units, double busy_seconds);

  void SetQueueDepth(size_t requests);

  // To be set before the page is read.
  void SetMemory(const MemoryBudget::Figures& budget,
                 const BufferPool::Figures& pool);
  void SetArenas(const ArenaRegistry::Figures& arenas, size_t connections,
                 uint64_t refused_connections);

 private:
  // Of counters that are set: two may read the page at once.
  std::mutex mutex_;
  prometheus::Counter& busy_seconds_;
  prometheus::Counter& work_units_;
  prometheus::Gauge& queue_depth_;
  prometheus::Gauge& memory_budget_;
  prometheus::Gauge& memory_reserved_;
  prometheus::Gauge& memory_waiting_;
  prometheus::Family<prometheus::Gauge>& pool_;
  prometheus::Gauge& pool_used_;
  prometheus::Gauge& pool_free_;
  prometheus::Counter& pool_misses_;
  prometheus::Gauge& arenas_;
  prometheus::Gauge& arena_bytes_;
  prometheus::Gauge& arena_connections_;
  prometheus::Counter& arenas_created_;
  prometheus::Counter& arenas_refused_;
  prometheus::Counter& arena_connections_refused_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_RESOURCE_METRICS_H_
