#ifndef LOSSD_SERVER_METRICS_IDENTITY_METRICS_H_
#define LOSSD_SERVER_METRICS_IDENTITY_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <map>
#include <mutex>
#include <string>

#include "server/auth/identities.h"
#include "server/metrics/families.h"

namespace lossd {

// What those do who are named in the file of identities; nothing without one.
// To be set before the page is read. Thread-safe.
class IdentityMetrics {
 public:
  explicit IdentityMetrics(Families& families);

  // Who is named no more is left out.
  void Set(const Identities& identities);

 private:
  struct Series {
    prometheus::Counter& calls;
    prometheus::Counter& received;
    prometheus::Counter& throttled;
    prometheus::Gauge& in_flight;
    prometheus::Gauge& limit;
  };
  Series Add(const std::string& name);
  void Remove(const Series& series);

  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Family<prometheus::Counter>& received_;
  prometheus::Family<prometheus::Counter>& throttled_;
  prometheus::Family<prometheus::Gauge>& in_flight_;
  prometheus::Family<prometheus::Gauge>& limit_;
  // Two may read the page at once.
  std::mutex mutex_;
  std::map<std::string, Series> series_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_IDENTITY_METRICS_H_
