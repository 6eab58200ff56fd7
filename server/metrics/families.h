#ifndef LOSSD_SERVER_METRICS_FAMILIES_H_
#define LOSSD_SERVER_METRICS_FAMILIES_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "server/metrics/sharded_histogram.h"

namespace lossd {

// Where the metrics of a server are made and collected from. Names and helps
// are those of the page; what is returned is valid as long as this. Metrics are
// made before the first Collect, which is thread-safe.
class Families {
 public:
  prometheus::Family<prometheus::Counter>& Counters(const std::string& name,
                                                    const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }
  prometheus::Family<prometheus::Gauge>& Gauges(const std::string& name,
                                                const std::string& help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  }
  HistogramFamily& Histograms(const std::string& name, const std::string& help,
                              std::vector<double> bounds) {
    return histograms_.emplace_back(name, help, std::move(bounds));
  }

  // Those without labels.
  prometheus::Counter& Counter(const std::string& name,
                               const std::string& help) {
    return Counters(name, help).Add({});
  }
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help) {
    return Gauges(name, help).Add({});
  }

  std::vector<prometheus::MetricFamily> Collect() const {
    std::vector<prometheus::MetricFamily> families = registry_.Collect();
    for (const HistogramFamily& histograms : histograms_) {
      families.push_back(histograms.Collect().front());
    }
    return families;
  }

 private:
  prometheus::Registry registry_;
  std::deque<HistogramFamily> histograms_;
};

// Sets a counter to a figure that only grows; what is behind already is left
// out.
inline void Advance(prometheus::Counter& counter, uint64_t to) {
  counter.Increment(static_cast<double>(to) - counter.Value());
}

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_FAMILIES_H_
