// Counts the calls of gRPC's own services.

#ifndef LOSSD_SERVER_LISTEN_CALL_COUNTER_H_
#define LOSSD_SERVER_LISTEN_CALL_COUNTER_H_

#include <grpcpp/support/server_interceptor.h>

#include "server/listen/open_calls.h"

namespace lossd {

// Enters calls of all services but LossService, as health and reflection are,
// which enters its own. Thread-safe.
class CallCounterFactory final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // `calls` must outlive the server.
  explicit CallCounterFactory(OpenCalls& calls) : calls_(calls) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* call) override;

 private:
  OpenCalls& calls_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_CALL_COUNTER_H_
