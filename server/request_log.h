// What the log says about single calls.

#ifndef LOSSD_SERVER_REQUEST_LOG_H_
#define LOSSD_SERVER_REQUEST_LOG_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "server/metrics/metrics.h"

namespace lossd {

// A call in the log: under the client's x-request-id, or one that is made here
// and sent with the call's status when that is an error. For one thread at a
// time.
class RequestLog {
 public:
  // `call` must outlive this.
  explicit RequestLog(grpc::CallbackServerContext& call)
      : call_(call), peer_(call.peer()) {}

  // The client. gRPC itself forgets it when the call is reset.
  const std::string& peer() const { return peer_; }

  // Before the call ends with an error: tells the client the request's id.
  void Fail();

  // When the call has ended: a line at the level debug. `identity` is empty for
  // nobody in particular.
  void Write(const Metrics::Rpc& rpc, const std::string& identity);

 private:
  const std::string& Id();

  grpc::CallbackServerContext& call_;
  const std::string peer_;
  std::string id_;
};

// A W3C traceparent, or empty if `text` is none.
std::string Traceparent(const std::string& text);

// An id that a client gave, or empty if it is longer than 128 bytes or has
// others than letters, digits and "-_.:/".
std::string RequestId(const std::string& text);

}  // namespace lossd

#endif  // LOSSD_SERVER_REQUEST_LOG_H_
