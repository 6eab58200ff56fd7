#include "server/metrics/resource_metrics.h"

namespace lossd {

ResourceMetrics::ResourceMetrics(Families& families, int compute_threads)
    : busy_seconds_(families.Counter(
          "lossd_compute_busy_seconds_total",
          "Seconds that compute threads were taken; the rate divided by "
          "lossd_compute_threads is the utilisation.")),
      work_units_(families.Counter("lossd_work_units_total",
                                   "Units of work that ran.")),
      queue_depth_(
          families.Gauge("lossd_queue_depth_requests",
                         "Requests that wait to be computed, or are.")),
      memory_budget_(
          families.Gauge("lossd_memory_budget_bytes",
                         "What arenas, requests and replies may take.")),
      memory_reserved_(
          families.Gauge("lossd_memory_reserved_bytes",
                         "What arenas, requests and replies are taking.")),
      memory_waiting_(families.Gauge("lossd_memory_waiting_requests",
                                     "Requests that wait for memory.")),
      pool_(
          families.Gauges("lossd_buffer_pool_bytes",
                          "Memory for replies, in use and kept for the next.")),
      pool_used_(pool_.Add({{"state", "used"}})),
      pool_free_(pool_.Add({{"state", "free"}})),
      pool_misses_(
          families.Counter("lossd_buffer_pool_misses_total",
                           "Buffers for replies that had to be allocated.")),
      arenas_(families.Gauge("lossd_arenas", "Arenas that can be used.")),
      arena_bytes_(families.Gauge(
          "lossd_arena_bytes",
          "Memory of arenas, also of those that were freed and are still "
          "used; part of the reserved memory.")),
      arena_connections_(families.Gauge("lossd_arena_connections",
                                        "Connections to the arena socket.")),
      arenas_created_(
          families.Counter("lossd_arenas_created_total", "Arenas made.")),
      arenas_refused_(families.Counter("lossd_arenas_refused_total",
                                       "Arenas refused: a limit, or no "
                                       "memory.")),
      arena_connections_refused_(families.Counter(
          "lossd_arena_connections_refused_total",
          "Connections to the arena socket refused: there were too many.")) {
  families.Gauge("lossd_compute_threads", "Threads that compute.")
      .Set(compute_threads);
}

void ResourceMetrics::CountWork(size_t units, double busy_seconds) {
  work_units_.Increment(static_cast<double>(units));
  busy_seconds_.Increment(busy_seconds);
}

void ResourceMetrics::SetQueueDepth(size_t requests) {
  queue_depth_.Set(static_cast<double>(requests));
}

void ResourceMetrics::SetMemory(const MemoryBudget::Figures& budget,
                                const BufferPool::Figures& pool) {
  const std::lock_guard lock(mutex_);
  memory_budget_.Set(static_cast<double>(budget.budget));
  memory_reserved_.Set(static_cast<double>(budget.reserved));
  memory_waiting_.Set(static_cast<double>(budget.waiting));
  pool_used_.Set(static_cast<double>(pool.used));
  pool_free_.Set(static_cast<double>(pool.free));
  Advance(pool_misses_, pool.misses);
}

void ResourceMetrics::SetArenas(const ArenaRegistry::Figures& arenas,
                                size_t connections,
                                uint64_t refused_connections) {
  const std::lock_guard lock(mutex_);
  arenas_.Set(static_cast<double>(arenas.arenas));
  arena_bytes_.Set(static_cast<double>(arenas.bytes));
  arena_connections_.Set(static_cast<double>(connections));
  Advance(arenas_created_, arenas.created);
  Advance(arenas_refused_, arenas.refused);
  Advance(arena_connections_refused_, refused_connections);
}

}  // namespace lossd
