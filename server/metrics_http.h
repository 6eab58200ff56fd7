// HTTP for Prometheus and for probes.

#ifndef LOSSD_SERVER_METRICS_HTTP_H_
#define LOSSD_SERVER_METRICS_HTTP_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/listen_address.h"
#include "server/metrics.h"

struct mg_connection;
struct mg_context;

namespace lossd {

// Serves GET /metrics, and /healthz with 200 while serving and else 503.
class MetricsHttp {
 public:
  // FAILED_PRECONDITION, one line, if it cannot listen there. `metrics` must
  // outlive the result. Not serving at first.
  static absl::StatusOr<std::unique_ptr<MetricsHttp>> Start(
      const ListenAddress& address, const Metrics& metrics);
  ~MetricsHttp();
  MetricsHttp(const MetricsHttp&) = delete;
  MetricsHttp& operator=(const MetricsHttp&) = delete;

  void SetServing(bool serving) { serving_ = serving; }

  // HOST:PORT with the port that was bound.
  const std::string& address() const { return address_; }

 private:
  explicit MetricsHttp(const Metrics& metrics) : metrics_(metrics) {}
  static int Handle(mg_connection* connection, void* self);

  const Metrics& metrics_;
  std::atomic<bool> serving_ = false;
  std::string address_;
  std::string host_;
  int port_ = 0;
  mg_context* context_ = nullptr;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_HTTP_H_
