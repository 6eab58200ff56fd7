#include "server/admin/admin_http.h"

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

int Log(const mg_connection* /*connection*/, const char* message) {
  LogWarning("admin_http", {{"message", message}});
  return 1;  // civetweb need not write it anywhere.
}

const char* Phrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

int Send(mg_connection* connection, const AdminReply& reply) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
            "Cache-Control: no-cache\r\n"
            "Content-Security-Policy: default-src 'none'; style-src "
            "'unsafe-inline'\r\nX-Content-Type-Options: nosniff\r\n\r\n",
            reply.code, Phrase(reply.code), reply.content_type,
            reply.body.size());
  const bool head =
      std::strcmp(mg_get_request_info(connection)->request_method, "HEAD") == 0;
  if (!head) mg_write(connection, reply.body.data(), reply.body.size());
  return reply.code;
}

}  // namespace

// An exception must not go through civetweb, which is C.
int AdminHttp::Handle(mg_connection* connection, void* self) {
  try {
    return static_cast<const AdminHttp*>(self)->Answer(connection);
  } catch (const std::exception& error) {
    return Send(connection,
                {.code = 500, .body = absl::StrCat(error.what(), "\n")});
  }
}

int AdminHttp::Answer(mg_connection* connection) const {
  const mg_request_info& request = *mg_get_request_info(connection);
  const std::string_view method = request.request_method;
  if (method != "GET" && method != "HEAD") {
    return Send(connection, {.code = 405, .body = "only GET is served\n"});
  }
  const auto page =
      pages_.find(request.local_uri != nullptr ? request.local_uri : "");
  if (page != pages_.end()) return Send(connection, page->second());
  std::string served = "served are";
  for (const auto& [path, unused] : pages_) absl::StrAppend(&served, " ", path);
  return Send(connection, {.code = 404, .body = served + "\n"});
}

absl::StatusOr<std::unique_ptr<AdminHttp>> AdminHttp::Start(
    const ListenAddress& address, AdminPages pages) {
  // civetweb does not say why it could not.
  LOSSD_RETURN_IF_ERROR(ListenTcp(address).status());
  std::unique_ptr<AdminHttp> server(new AdminHttp(std::move(pages)));
  // A scraper and a probe at a time are usual. The others are for connections
  // that say nothing, each of which has a thread until its time is over.
  std::array<const char*, 7> options = {"listening_ports",
                                        address.text.c_str(),
                                        "num_threads",
                                        "16",
                                        "request_timeout_ms",
                                        "1000",
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

AdminHttp::~AdminHttp() {
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
