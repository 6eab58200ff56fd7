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
  // The items and the bytes of a request are checked before it is parsed; the
  // batch cares about the bytes of the reply.
  int64_t max_items = 0;
  int64_t max_message_bytes = 0;
};

// Fills `response` with one result for each item. Fails as a whole with
// FAILED_PRECONDITION for another numerics_version, RESOURCE_EXHAUSTED for so
// many items that not even short texts fit into the reply, or with what
// `interrupted` says, which is asked before each item. To be called by the
// thread that owns the OpenMP team.
absl::Status ComputeBatch(const v1::ComputeRequest& request,
                          const BatchLimits& limits,
                          const std::function<absl::Status()>& interrupted,
                          Metrics& metrics, v1::ComputeResponse* response);

}  // namespace lossd

#endif  // LOSSD_SERVER_BATCH_H_
