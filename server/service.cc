#include "server/service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "lib/core/numerics.h"
#include "lib/core/shape.h"
#include "server/arena/arena_range.h"
#include "server/call.h"
#include "server/catalog.h"
#include "server/error_details.h"
#include "server/reactor.h"
#include "server/request_log.h"
#include "server/status_adapter.h"
#include "server/stream_handler.h"
#include "server/tensor_codec.h"
#include "server/version.h"

namespace lossd {
namespace {

// The place of Compute among the service's methods.
constexpr int kCompute = 0;

// Of the other methods' messages, which are empty: room for fields of newer
// clients. They are parsed on gRPC's own threads, which must not take long.
constexpr size_t kMaxEmptyMessage = 4096;

// Answers UNIMPLEMENTED without reading anything.
class RefusingReactor final : public RawReactor {
 public:
  RefusingReactor(grpc::CallbackServerContext& call, Metrics& metrics,
                  Metrics::Method method, const std::string& text)
      : call_(call), log_(call), rpc_(metrics.rpcs(), method) {
    log_.Fail();
    End(ToGrpcStatus(MethodNotServed(text)));
  }

 private:
  void Done() override {
    rpc_.Finish(CodeReceived(call_, absl::StatusCode::kUnimplemented));
    log_.Write(rpc_, "");
    delete this;
  }

  grpc::CallbackServerContext& call_;
  RequestLog log_;
  Metrics::Rpc rpc_;
};

// One call of a unary method, answered at once.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(grpc::CallbackServerContext& call, Metrics& metrics,
               Metrics::Method method)
      : call_(call), log_(call), rpc_(metrics.rpcs(), method) {}

  void Answer(size_t received, const absl::Status& status, size_t sent) {
    rpc_.Received(received);
    if (status.ok()) rpc_.Sent(sent);
    rpc_.Finish(status.code());
    if (!status.ok()) log_.Fail();
    ReleaseToGrpc(this);
    Finish(ToGrpcStatus(status));
  }

 private:
  void OnDone() override {
    AcquireFromGrpc(this);
    rpc_.Finish(CodeReceived(call_, rpc_.code()));
    log_.Write(rpc_, "");
    delete this;
  }

  grpc::CallbackServerContext& call_;
  RequestLog log_;
  Metrics::Rpc rpc_;
};

template <class Request>
absl::Status CheckEmptyRequest(const grpc::ByteBuffer& body) {
  const std::string& name = Request::descriptor()->full_name();
  if (body.Length() > kMaxEmptyMessage) {
    return absl::InvalidArgumentError(
        absl::StrCat("got ", body.Length(), " bytes, allowed: at most ",
                     kMaxEmptyMessage, " for a ", name));
  }
  grpc::ByteBuffer unread = body;
  Request request;
  if (grpc::SerializationTraits<Request>::Deserialize(&unread, &request).ok()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the ", body.Length(), " bytes received are no ", name));
}

// Replies with `response` to a message that is a Request. gRPC's typed handlers
// would answer one that is not with UNIMPLEMENTED and no text.
template <class Request, class Response>
grpc::ServerUnaryReactor* Reply(grpc::CallbackServerContext* call,
                                const ComputeContext& context,
                                Metrics::Method method,
                                const grpc::ByteBuffer& body,
                                const Response& response,
                                grpc::ByteBuffer* reply) {
  auto* reactor = new UnaryReactor(*call, context.metrics, method);
  absl::Status status = context.authenticator.Identify(*call).status();
  CountRefusal(status, Identity(), context.metrics);
  if (status.ok()) status = CheckEmptyRequest<Request>(body);
  bool own = false;
  if (status.ok() &&
      !grpc::SerializationTraits<Response>::Serialize(response, reply, &own)
           .ok()) {
    status = absl::InternalError("the reply could not be serialized");
  }
  reactor->Answer(body.Length(), status, status.ok() ? reply->Length() : 0);
  return reactor;
}

v1::GetServerInfoResponse ServerInfo(const ComputeContext& context,
                                     const std::string& peer) {
  const BatchLimits& batch = context.limits;
  v1::GetServerInfoResponse response;
  response.set_version(kVersion);
  response.set_numerics_version(std::string(NumericsVersion()));
  response.set_reproducible(Reproducible());
  response.set_simd_target(std::string(SimdTarget()));
  response.set_compute_threads(batch.threads);
  v1::Limits* limits = response.mutable_limits();
  limits->set_max_message_bytes(batch.max_message_bytes);
  limits->set_max_items(batch.max_items);
  limits->set_max_rank(static_cast<int32_t>(kMaxRank));
  limits->set_max_list_values(kMaxListValues);
  limits->set_memory_budget_bytes(context.budget.figures().budget);
  response.add_prediction_dtypes(v1::DTYPE_FLOAT32);
  response.add_prediction_dtypes(v1::DTYPE_FLOAT64);
  response.add_prediction_dtypes(v1::DTYPE_FLOAT16);
  response.add_prediction_dtypes(v1::DTYPE_BFLOAT16);
  response.set_streams(true);
  if (ArenasOf(context.arenas, peer) != nullptr) {
    response.set_arena_address(context.arena_address);
  }
  return response;
}

}  // namespace

LossServiceImpl::LossServiceImpl(const ComputeContext& context)
    : context_(context) {
  // The first call makes a stream of the method, the second serves it with the
  // callback API; each owns its handler.
  MarkMethodStreamed(kCompute, NewComputeHandler(context));
  MarkMethodRawCallback(kCompute, NewComputeHandler(context));
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
LossServiceImpl::ComputeStream(grpc::CallbackServerContext* call) {
  return NewStreamReactor(context_, *call);
}

grpc::ServerUnaryReactor* LossServiceImpl::ListLosses(
    grpc::CallbackServerContext* call, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return Reply<v1::ListLossesRequest>(call, context_,
                                      Metrics::Method::kListLosses, *request,
                                      Catalog::Get().list(), response);
}

grpc::ServerUnaryReactor* LossServiceImpl::GetServerInfo(
    grpc::CallbackServerContext* call, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return Reply<v1::GetServerInfoRequest>(
      call, context_, Metrics::Method::kGetServerInfo, *request,
      ServerInfo(context_, call->peer()), response);
}

grpc::ServerGenericBidiReactor* UnknownMethodService::CreateReactor(
    grpc::GenericCallbackServerContext* call) {
  return new RefusingReactor(
      *call, metrics_, Metrics::Method::kOther,
      absl::StrCat("method ", CutText(call->method(), 200),
                   " is not served by lossd ", kVersion,
                   ", which serves lossd.v1.LossService"));
}

}  // namespace lossd
