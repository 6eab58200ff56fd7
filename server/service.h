#ifndef LOSSD_SERVER_SERVICE_H_
#define LOSSD_SERVER_SERVICE_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "server/compute_handler.h"
#include "server/metrics/metrics.h"

namespace lossd {

// lossd.v1.LossService.
class LossServiceImpl final
    : public v1::LossService::WithRawCallbackMethod_ComputeStream<
          v1::LossService::WithRawCallbackMethod_ListLosses<
              v1::LossService::WithRawCallbackMethod_GetServerInfo<
                  v1::LossService::Service>>> {
 public:
  // `context` must outlive the server.
  explicit LossServiceImpl(const ComputeContext& context);

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ComputeStream(
      grpc::CallbackServerContext* call) override;

  grpc::ServerUnaryReactor* ListLosses(grpc::CallbackServerContext* call,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* call,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;

 private:
  const ComputeContext& context_;
};

// Answers every method that nobody else serves with UNIMPLEMENTED and, other
// than gRPC itself, a text.
class UnknownMethodService final : public grpc::CallbackGenericService {
 public:
  explicit UnknownMethodService(Metrics& metrics) : metrics_(metrics) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* call) override;

 private:
  Metrics& metrics_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_SERVICE_H_
