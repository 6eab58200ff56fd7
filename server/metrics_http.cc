#include "server/metrics_http.h"

#include <civetweb.h>

#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <string_view>
#include <thread>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/listen/tcp_sockets.h"
#include "server/logging.h"

namespace lossd {
namespace {

// The version that Prometheus's text format has.
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kTextType[] = "text/plain; charset=utf-8";

int Log(const mg_connection* /*connection*/, const char* message) {
  LogWarning("metrics_http", {{"message", message}});
  return 1;  // civetweb need not write it anywhere.
}

int Reply(mg_connection* connection, int code, const char* phrase,
          const char* type, const std::string& body) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
            "Cache-Control: no-cache\r\n\r\n",
            code, phrase, type, body.size());
  const bool head =
      std::strcmp(mg_get_request_info(connection)->request_method, "HEAD") == 0;
  if (!head) mg_write(connection, body.data(), body.size());
  return code;
}

}  // namespace

// An exception must not go through civetweb, which is C.
int MetricsHttp::Handle(mg_connection* connection, void* self) {
  try {
    return static_cast<const MetricsHttp*>(self)->Answer(connection);
  } catch (const std::exception& error) {
    return Reply(connection, 500, "Internal Server Error", kTextType,
                 absl::StrCat(error.what(), "\n"));
  }
}

int MetricsHttp::Answer(mg_connection* connection) const {
  const mg_request_info& request = *mg_get_request_info(connection);
  const std::string_view method = request.request_method;
  const std::string_view path =
      request.local_uri != nullptr ? request.local_uri : "";
  if (method != "GET" && method != "HEAD") {
    return Reply(connection, 405, "Method Not Allowed", kTextType,
                 "only GET is served\n");
  }
  if (path == "/metrics") {
    return Reply(connection, 200, "OK", kMetricsType, metrics_());
  }
  if (path == "/healthz") {
    return serving_ ? Reply(connection, 200, "OK", kTextType, "serving\n")
                    : Reply(connection, 503, "Service Unavailable", kTextType,
                            "not serving\n");
  }
  return Reply(connection, 404, "Not Found", kTextType,
               "only /metrics and /healthz are served\n");
}

absl::StatusOr<std::unique_ptr<MetricsHttp>> MetricsHttp::Start(
    const ListenAddress& address, std::function<std::string()> metrics) {
  // civetweb does not say why it could not.
  LOSSD_RETURN_IF_ERROR(ListenTcp(address).status());
  std::unique_ptr<MetricsHttp> server(new MetricsHttp(std::move(metrics)));
  // A scraper and a probe at a time are usual. The others are for connections
  // that say nothing, each of which has a thread until its time is over.
  std::array<const char*, 7> options = {"listening_ports",
                                        address.text.c_str(),
                                        "num_threads",
                                        "8",
                                        "request_timeout_ms",
                                        "2000",
                                        nullptr};
  mg_callbacks callbacks = {};
  callbacks.log_message = Log;
  server->context_ = mg_start(&callbacks, server.get(), options.data());
  mg_server_port port = {};
  if (server->context_ == nullptr ||
      mg_get_server_ports(server->context_, 1, &port) != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", address.text, " for metrics"));
  }
  server->address_ = WithPort(address, port.port);
  server->host_ = address.host;
  server->port_ = port.port;
  mg_set_request_handler(server->context_, "/", Handle, server.get());
  return server;
}

MetricsHttp::~MetricsHttp() {
  if (context_ == nullptr) return;
  std::atomic<bool> stopped = false;
  std::thread stop([this, &stopped] {
    mg_stop(context_);
    stopped = true;
  });
  // civetweb looks whether it is to stop every two seconds, or when somebody
  // connects.
  while (!stopped) {
    std::array<char, 256> error;
    mg_connection* connection =
        mg_connect_client(host_.c_str(), port_, 0, error.data(), error.size());
    if (connection != nullptr) mg_close_connection(connection);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stop.join();
}

}  // namespace lossd
