#ifndef LOSSD_SERVER_METRICS_ACCESS_METRICS_H_
#define LOSSD_SERVER_METRICS_ACCESS_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "server/auth/tls_certificates.h"
#include "server/metrics/families.h"

namespace lossd {

// Who gets in, and how the server is doing. All are to be set before the page
// is read. Thread-safe.
class AccessMetrics {
 public:
  // Without TLS nothing is said about certificates.
  AccessMetrics(Families& families, bool tls);

  // Connections that are open, and that were closed as there were too many.
  void SetConnections(size_t open, uint64_t refused);
  // Only with TLS.
  void SetCertificates(const TlsCertificates::Figures& figures);
  void SetState(bool draining, uint64_t dropped_log_lines);

 private:
  struct Certificates {
    prometheus::Gauge& not_after;
    prometheus::Counter& reloads;
    prometheus::Counter& failed_reloads;
  };

  // Of counters that are set: two may read the page at once.
  std::mutex mutex_;
  prometheus::Gauge& connections_;
  prometheus::Counter& connections_refused_;
  prometheus::Gauge& draining_;
  prometheus::Counter& log_dropped_;
  std::optional<Certificates> certificates_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_ACCESS_METRICS_H_
