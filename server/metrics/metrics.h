// What lossd counts. The names are in the files of this folder alone, each of
// which has those of one concern.

#ifndef LOSSD_SERVER_METRICS_METRICS_H_
#define LOSSD_SERVER_METRICS_METRICS_H_

#include <string>

#include "server/metrics/access_metrics.h"
#include "server/metrics/call_metrics.h"
#include "server/metrics/families.h"
#include "server/metrics/identity_metrics.h"
#include "server/metrics/loss_metrics.h"
#include "server/metrics/process_metrics.h"
#include "server/metrics/resource_metrics.h"
#include "server/metrics/rpc_metrics.h"
#include "server/metrics/stages.h"

namespace lossd {

// All metrics of a server. Thread-safe. Labels have values of closed sets,
// never text of a client; what has few values is on the page before it is
// counted.
class Metrics {
 public:
  using Method = RpcMetrics::Method;
  using Rpc = RpcMetrics::Rpc;

  explicit Metrics(int compute_threads, bool tls = false);

  RpcMetrics& rpcs() { return rpcs_; }
  StageMetrics& stages() { return stages_; }
  CallMetrics& calls() { return calls_; }
  LossMetrics& losses() { return losses_; }
  ResourceMetrics& resources() { return resources_; }
  AccessMetrics& access() { return access_; }
  IdentityMetrics& identities() { return identities_; }

  // A call was refused.
  void Reject(Rejection reason) { calls_.Reject(reason); }

  // The whole page in Prometheus's text format.
  std::string Text() const;

 private:
  Families families_;
  ProcessMetrics process_;
  RpcMetrics rpcs_{families_};
  StageMetrics stages_{families_};
  CallMetrics calls_{families_};
  LossMetrics losses_{families_};
  ResourceMetrics resources_;
  AccessMetrics access_;
  IdentityMetrics identities_{families_};
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_METRICS_H_
