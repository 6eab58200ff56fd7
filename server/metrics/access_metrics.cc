#include "server/metrics/access_metrics.h"

namespace lossd {

AccessMetrics::AccessMetrics(Families& families, bool tls)
    : connections_(
          families.Gauge("lossd_connections", "Connections that are open.")),
      connections_refused_(
          families.Counter("lossd_connections_refused_total",
                           "Connections closed at once: there were too many.")),
      draining_(families.Gauge("lossd_draining",
                               "1 from the moment the server was told to "
                               "stop.")),
      log_dropped_(families.Counter(
          "lossd_log_dropped_total",
          "Log lines not written: there were too many of their event.")) {
  if (!tls) return;
  auto& reloads = families.Counters("lossd_tls_reloads_total",
                                    "How often certificates were read again.");
  certificates_.emplace(Certificates{
      families.Gauge("lossd_tls_certificate_not_after_timestamp_seconds",
                     "When the server's certificate expires, in seconds since "
                     "1970."),
      reloads.Add({{"result", "success"}}),
      reloads.Add({{"result", "failure"}})});
}

void AccessMetrics::SetConnections(size_t open, uint64_t refused) {
  const std::lock_guard lock(mutex_);
  connections_.Set(static_cast<double>(open));
  Advance(connections_refused_, refused);
}

void AccessMetrics::SetCertificates(const TlsCertificates::Figures& figures) {
  const std::lock_guard lock(mutex_);
  certificates_->not_after.Set(static_cast<double>(figures.not_after));
  Advance(certificates_->reloads, figures.reloads);
  Advance(certificates_->failed_reloads, figures.failed_reloads);
}

void AccessMetrics::SetState(bool draining, uint64_t dropped_log_lines) {
  const std::lock_guard lock(mutex_);
  draining_.Set(draining ? 1 : 0);
  Advance(log_dropped_, dropped_log_lines);
}

}  // namespace lossd
