// Computes a whole request: no gRPC here.

#ifndef LOSSD_SERVER_BATCH_H_
#define LOSSD_SERVER_BATCH_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/metrics.h"

namespace lossd {

struct BatchLimits {
  int threads = 1;
  int64_t max_items = 0;
  // Of the reply; that of the request is checked before it is parsed.
  int64_t max_message_bytes = 0;
};

// Fills `response` with one result for each item. Fails as a whole with
// FAILED_PRECONDITION for another numerics_version, RESOURCE_EXHAUSTED for too
// many items or a reply that is too large for their texts alone, or with what
// `interrupted` says, which is asked before each item. To be called by the
// thread that owns the OpenMP team.
absl::Status ComputeBatch(const v1::ComputeRequest& request,
                          const BatchLimits& limits,
                          const std::function<absl::Status()>& interrupted,
                          Metrics& metrics, v1::ComputeResponse* response);

}  // namespace lossd

#endif  // LOSSD_SERVER_BATCH_H_
