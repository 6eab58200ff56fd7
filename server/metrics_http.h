// HTTP for Prometheus and for probes.

#ifndef LOSSD_SERVER_METRICS_HTTP_H_
#define LOSSD_SERVER_METRICS_HTTP_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/listen/listen_address.h"

struct mg_connection;
struct mg_context;

namespace lossd {

// Serves GET /metrics, and /healthz with 200 while serving and else 503.
class MetricsHttp {
 public:
  // FAILED_PRECONDITION, one line, if it cannot listen there. `metrics` gives
  // the text of /metrics, on any thread. Not serving at first.
  static absl::StatusOr<std::unique_ptr<MetricsHttp>> Start(
      const ListenAddress& address, std::function<std::string()> metrics);
  ~MetricsHttp();
  MetricsHttp(const MetricsHttp&) = delete;
  MetricsHttp& operator=(const MetricsHttp&) = delete;

  void SetServing(bool serving) { serving_ = serving; }

  // HOST:PORT with the port that was bound.
  const std::string& address() const { return address_; }

 private:
  explicit MetricsHttp(std::function<std::string()> metrics)
      : metrics_(std::move(metrics)) {}
  static int Handle(mg_connection* connection, void* self);
  int Answer(mg_connection* connection) const;

  const std::function<std::string()> metrics_;
  std::atomic<bool> serving_ = false;
  std::string address_;
  std::string host_;
  int port_ = 0;
  mg_context* context_ = nullptr;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_HTTP_H_
