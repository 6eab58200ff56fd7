// LossService.Compute: declared unary, served as a stream of raw messages.

#ifndef LOSSD_SERVER_COMPUTE_HANDLER_H_
#define LOSSD_SERVER_COMPUTE_HANDLER_H_

#include <grpcpp/impl/codegen/method_handler.h>

#include <atomic>
#include <string>

#include "server/arena/arena_registry.h"
#include "server/auth/authenticator.h"
#include "server/batch.h"
#include "server/buffer_pool.h"
#include "server/memory_budget.h"
#include "server/metrics/metrics.h"
#include "server/scheduler.h"

namespace lossd {

// What every call of Compute needs; outlives all of them. Thread-safe.
struct ComputeContext {
  Scheduler& scheduler;
  MemoryBudget& budget;
  BufferPool& pool;
  Metrics& metrics;
  const BatchLimits& limits;
  // Set when what waits is to be refused rather than computed.
  const std::atomic<bool>& abandon;
  const Authenticator& authenticator;
  // Null if there are none.
  const ArenaRegistry* arenas = nullptr;
  // Where callers get them; empty if there are none.
  std::string arena_address = "";
};

// A handler that speaks to clients as one of a unary method, but gets to decide
// when to read, and what to say to a message that cannot be parsed: gRPC's own
// would answer UNIMPLEMENTED without text. `context` must outlive the server.
grpc::internal::MethodHandler* NewComputeHandler(const ComputeContext& context);

}  // namespace lossd

#endif  // LOSSD_SERVER_COMPUTE_HANDLER_H_
