// HTTP for Prometheus, for probes and for people.

#ifndef LOSSD_SERVER_ADMIN_ADMIN_HTTP_H_
#define LOSSD_SERVER_ADMIN_ADMIN_HTTP_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/listen/listen_address.h"

struct mg_connection;
struct mg_context;

namespace lossd {

struct AdminReply {
  // 200 or 503.
  int code = 200;
  const char* content_type = "text/plain; charset=utf-8";
  std::string body;
};

// What is served, by path. Called on any thread.
using AdminPages = std::map<std::string, std::function<AdminReply()>>;

// Serves GET and HEAD of these pages.
class AdminHttp {
 public:
  // FAILED_PRECONDITION, one line, if it cannot listen there.
  static absl::StatusOr<std::unique_ptr<AdminHttp>> Start(
      const ListenAddress& address, AdminPages pages);
  ~AdminHttp();
  AdminHttp(const AdminHttp&) = delete;
  AdminHttp& operator=(const AdminHttp&) = delete;

  // HOST:PORT with the port that was bound.
  const std::string& address() const { return address_; }

 private:
  explicit AdminHttp(AdminPages pages) : pages_(std::move(pages)) {}
  static int Handle(mg_connection* connection, void* self);
  int Answer(mg_connection* connection) const;

  const AdminPages pages_;
  std::string address_;
  std::string host_;
  int port_ = 0;
  mg_context* context_ = nullptr;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ADMIN_ADMIN_HTTP_H_
