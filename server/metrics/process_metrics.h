#ifndef LOSSD_SERVER_METRICS_PROCESS_METRICS_H_
#define LOSSD_SERVER_METRICS_PROCESS_METRICS_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace lossd {

// The process_* metrics that Prometheus's clients agree on, read from /proc
// when they are asked for. Thread-safe.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_PROCESS_METRICS_H_
