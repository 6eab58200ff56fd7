#include "server/listen/call_counter.h"

#include <grpcpp/server_context.h>

#include "server/reactor.h"

namespace lossd {
namespace {

// One call, as long as gRPC keeps what it knows of it.
class CallCounter final : public grpc::experimental::Interceptor {
 public:
  CallCounter(OpenCalls& calls, const std::string& peer) : call_(calls, peer) {
    ReleaseToGrpc(this);
  }
  ~CallCounter() override { AcquireFromGrpc(this); }
  CallCounter(const CallCounter&) = delete;
  CallCounter& operator=(const CallCounter&) = delete;
  void Intercept(
      grpc::experimental::InterceptorBatchMethods* operation) override {
    operation->Proceed();
  }

 private:
  const OpenCalls::Call call_;
};

}  // namespace

grpc::experimental::Interceptor* CallCounterFactory::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* call) {
  return new CallCounter(calls_, call->server_context()->peer());
}

}  // namespace lossd
