#include "client/client.h"

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/messages.h"
#include "client/status.h"
#include "lossd/v1/loss_service.grpc.pb.h"

namespace lossd {
namespace {

using client_internal::CheckDestinations;
using client_internal::FromGrpc;
using client_internal::InvalidField;
using client_internal::ItemOf;
using client_internal::OutputsOf;
using client_internal::ReadResult;

// No lossd accepts a larger message.
constexpr int64_t kMessageCeiling = int64_t{1} << 30;

// grpc.health.v1 ships without its messages, and a copy of them in our protos
// would clash with that of another library in the same program. The wrapper
// types are the same on the wire: one string or one enum, field number 1.
using HealthCheckRequest = google::protobuf::StringValue;
using HealthCheckResponse = google::protobuf::Int32Value;
constexpr int kServing = 1;

// The Check of grpc.health.v1.Health.
grpc::Status Check(const std::shared_ptr<grpc::Channel>& channel,
                   grpc::ClientContext* context,
                   const HealthCheckRequest& request,
                   HealthCheckResponse* response) {
  std::promise<grpc::Status> done;
  grpc::TemplatedGenericStub<HealthCheckRequest, HealthCheckResponse> stub(
      channel);
  stub.UnaryCall(
      context, "/grpc.health.v1.Health/Check", {}, &request, response,
      [&done](grpc::Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

}  // namespace

class Client::Connection {
 public:
  Connection(std::string target, const ClientOptions& options)
      : target_(std::move(target)),
        deadline_(options.deadline),
        message_limit_(
            std::min(options.max_message_bytes.value_or(kMessageCeiling),
                     kMessageCeiling)) {
    grpc::ChannelArguments arguments;
    // The server's limit is learnt over this very channel; until then the
    // ceiling stands in for it.
    arguments.SetMaxReceiveMessageSize(static_cast<int>(message_limit_));
    arguments.SetMaxSendMessageSize(static_cast<int>(message_limit_));
    // Else a name server could add retries that nobody asked for.
    arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    // Else http_proxy in the environment diverts even calls to 127.0.0.1.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    channel_ = grpc::CreateCustomChannel(
        target_,
        options.credentials ? options.credentials
                            : grpc::InsecureChannelCredentials(),
        arguments);
    stub_ = v1::LossService::NewStub(channel_);
  }

  const std::string& target() const { return target_; }
  const std::string& numerics_version() const { return numerics_version_; }
  v1::LossService::Stub& stub() const { return *stub_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // From here on what the server said holds.
  void Adopt(const v1::GetServerInfoResponse& info) {
    message_limit_ =
        std::min(message_limit_, info.limits().max_message_bytes());
    numerics_version_ = info.numerics_version();
  }

  // Fails with RESOURCE_EXHAUSTED if `request` is too large, with INTERNAL if
  // the reply does not have a result for each item.
  absl::StatusOr<v1::ComputeResponse> SendCompute(
      const v1::ComputeRequest& request, const CallOptions& options) const {
    const size_t bytes = request.ByteSizeLong();
    if (bytes > static_cast<size_t>(message_limit_)) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "the request has ", bytes, " bytes, more than the message limit of ",
          message_limit_, " bytes of ", target_));
    }
    v1::ComputeResponse response;
    absl::Status status = Call(options, [&](grpc::ClientContext* context) {
      return stub_->Compute(context, request, &response);
    });
    if (!status.ok()) return status;
    if (response.results_size() != request.items_size()) {
      return absl::InternalError(
          absl::StrCat(target_, ": ", response.results_size(), " results for ",
                       request.items_size(), " items"));
    }
    return response;
  }

  // Calls `rpc` with a context of its own.
  template <typename Rpc>
  absl::Status Call(const CallOptions& options, Rpc rpc) const {
    const absl::Duration deadline = options.deadline.value_or(deadline_);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
    const grpc::Status status = rpc(&context);
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      return absl::DeadlineExceededError(absl::StrCat(
          target_, ": no answer within ", absl::FormatDuration(deadline)));
    }
    return FromGrpc(status, target_);
  }

 private:
  const std::string target_;
  const absl::Duration deadline_;
  int64_t message_limit_;
  std::string numerics_version_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LossService::Stub> stub_;
};

Client::Client(std::shared_ptr<const Connection> connection)
    : connection_(std::move(connection)) {}

absl::StatusOr<Client> Client::Connect(std::string target,
                                       ClientOptions options) {
  if (target.empty()) {
    return InvalidField("target", "empty", "host:port or unix:PATH");
  }
  if (options.max_message_bytes && *options.max_message_bytes < 1) {
    return InvalidField("max_message_bytes",
                        absl::StrCat(*options.max_message_bytes), "at least 1");
  }
  auto connection = std::make_shared<Connection>(std::move(target), options);
  absl::StatusOr<v1::GetServerInfoResponse> info =
      Client(connection).GetServerInfo({.deadline = options.connect_deadline});
  if (absl::IsDeadlineExceeded(info.status())) {
    return absl::UnavailableError(info.status().message());
  }
  if (!info.ok()) return info.status();
  connection->Adopt(*info);
  return Client(std::move(connection));
}

absl::StatusOr<ClientResult> Client::Compute(const LossCall& call,
                                             const CallOptions& options) const {
  auto results = ComputeBatch({&call, 1}, {}, options);
  if (!results.ok()) return results.status();
  return std::move(results->front());
}

absl::StatusOr<std::vector<absl::StatusOr<ClientResult>>> Client::ComputeBatch(
    std::span<const LossCall> calls, const LossCall& defaults,
    const CallOptions& options) const {
  for (const auto& [field, given] :
       {std::pair{"gradient", defaults.gradient.bytes > 0},
        std::pair{"extra_gradients", !defaults.extra_gradients.empty()},
        std::pair{"row_losses", !defaults.row_losses.empty()}}) {
    if (!given) continue;
    return InvalidField(absl::StrCat("defaults.", field), "a destination",
                        "none: every call has its own");
  }
  std::vector<absl::StatusOr<ClientResult>> results(calls.size());
  std::vector<size_t> sent;
  v1::ComputeRequest request;
  request.set_numerics_version(numerics_version());
  *request.mutable_defaults() = ItemOf(defaults);
  for (size_t i = 0; i < calls.size(); ++i) {
    absl::Status status = CheckDestinations(calls[i], defaults);
    if (!status.ok()) {
      results[i] = std::move(status);
      continue;
    }
    sent.push_back(i);
    v1::LossItem* item = request.add_items();
    *item = ItemOf(calls[i]);
    *item->mutable_outputs() = OutputsOf(calls[i], defaults);
  }
  if (sent.empty()) return results;

  absl::StatusOr<v1::ComputeResponse> response =
      connection_->SendCompute(request, options);
  if (!response.ok()) return response.status();
  for (size_t i = 0; i < sent.size(); ++i) {
    results[sent[i]] =
        ReadResult(response->results(static_cast<int>(i)), calls[sent[i]]);
  }
  return results;
}

absl::StatusOr<std::vector<v1::LossInfo>> Client::ListLosses(
    const CallOptions& options) const {
  v1::ListLossesResponse response;
  absl::Status status =
      connection_->Call(options, [&](grpc::ClientContext* context) {
        return connection_->stub().ListLosses(context, {}, &response);
      });
  if (!status.ok()) return status;
  return std::vector<v1::LossInfo>(response.losses().begin(),
                                   response.losses().end());
}

absl::StatusOr<v1::GetServerInfoResponse> Client::GetServerInfo(
    const CallOptions& options) const {
  v1::GetServerInfoResponse response;
  absl::Status status =
      connection_->Call(options, [&](grpc::ClientContext* context) {
        return connection_->stub().GetServerInfo(context, {}, &response);
      });
  if (!status.ok()) return status;
  return response;
}

absl::Status Client::CheckHealth(const std::string& service,
                                 const CallOptions& options) const {
  HealthCheckRequest request;
  request.set_value(service);
  HealthCheckResponse response;
  absl::Status status =
      connection_->Call(options, [&](grpc::ClientContext* context) {
        return Check(connection_->channel(), context, request, &response);
      });
  if (!status.ok() || response.value() == kServing) return status;
  return absl::UnavailableError(absl::StrCat(target(), ": not serving"));
}

const std::string& Client::numerics_version() const {
  return connection_->numerics_version();
}

const std::string& Client::target() const { return connection_->target(); }

}  // namespace lossd
