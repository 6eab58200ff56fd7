// Counts calls, those of gRPC's own services too.

#ifndef LOSSD_SERVER_LISTEN_CALL_COUNTER_H_
#define LOSSD_SERVER_LISTEN_CALL_COUNTER_H_

#include <grpcpp/support/server_interceptor.h>

#include "server/listen/open_calls.h"

namespace lossd {

// Enters all calls, from their headers until gRPC forgets them. Thread-safe.
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
