#include "client/client.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/arena/arena_call.h"
#include "client/arena/arena_memory.h"
#include "client/chunked_reply.h"
#include "client/chunked_request.h"
#include "client/connection.h"
#include "client/lent_memory.h"
#include "client/messages.h"
#include "client/status.h"
#include "client/stream_rpc.h"
#include "proto/wire/reader.h"
#include "proto/wire/writer.h"

namespace lossd {
namespace {

using client_internal::CallArenas;
using client_internal::CheckDestinations;
using client_internal::CheckRowLossesBefore;
using client_internal::ChunkedReply;
using client_internal::ChunkedRequest;
using client_internal::InvalidField;
using client_internal::LentMemory;
using client_internal::NameDestinations;
using client_internal::NoSuchGradient;
using client_internal::OutputsOf;
using client_internal::ReadResult;
using client_internal::ResultBytes;
using client_internal::SendComputeStream;
using client_internal::WriteItem;

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
  // Before what waits for gRPC to let go of memory, which may be an arena's.
  CallArenas arenas(connection_->arenas().table());
  std::vector<absl::StatusOr<ClientResult>> results(calls.size());
  std::vector<size_t> sent;
  int64_t reply_bytes = 0;
  google::protobuf::Arena arena;
  auto& message =
      *google::protobuf::Arena::CreateMessage<v1::ComputeRequest>(&arena);
  // Goes last and waits for gRPC.
  LentMemory memory;
  wire::SentPayloads payloads;
  message.set_numerics_version(numerics_version());
  absl::Status status = WriteItem(defaults, "defaults.", &arenas, &memory,
                                  &payloads, message.mutable_defaults());
  if (!status.ok()) return status;
  for (size_t i = 0; i < calls.size(); ++i) {
    v1::LossItem* item = message.add_items();
    v1::Outputs* outputs = item->mutable_outputs();
    status = CheckDestinations(calls[i], defaults);
    if (status.ok()) {
      status = WriteItem(calls[i], "", &arenas, &memory, &payloads, item);
    }
    if (status.ok()) {
      *outputs = OutputsOf(calls[i], defaults);
      status = NameDestinations(calls[i], &arenas, outputs);
    }
    if (!status.ok()) {
      results[i] = std::move(status);
      message.mutable_items()->RemoveLast();
      continue;
    }
    sent.push_back(i);
    reply_bytes += ResultBytes(calls[i], defaults, *outputs);
  }
  if (sent.empty()) return results;

  grpc::ByteBuffer reply;
  status = connection_->Compute(wire::WriteMessage(message, payloads),
                                reply_bytes, options, &reply);
  if (!status.ok()) return status;
  auto& response =
      *google::protobuf::Arena::CreateMessage<v1::ComputeResponse>(&arena);
  wire::ReceivedPayloads received;
  if (!wire::ReadMessage(reply, &response, &received)) {
    // As gRPC says it of a reply that it cannot read.
    return absl::UnimplementedError(
        absl::StrCat(target(), ": No message returned for unary request"));
  }
  if (static_cast<size_t>(response.results_size()) != sent.size()) {
    return absl::InternalError(
        absl::StrCat(target(), ": ", response.results_size(), " results for ",
                     sent.size(), " items"));
  }
  for (size_t i = 0; i < sent.size(); ++i) {
    const int at = static_cast<int>(i);
    results[sent[i]] = ReadResult(response.results(at), received,
                                  calls[sent[i]], message.items(at).outputs());
  }
  return results;
}

absl::StatusOr<ClientResult> Client::ComputeChunked(
    const LossCall& call, const CallOptions& options) const {
  absl::Status status = CheckDestinations(call, {});
  if (status.ok()) status = CheckRowLossesBefore(call);
  for (const auto& [name, destination] : call.extra_gradients) {
    if (status.ok() && !call.extra_inputs.contains(name)) {
      status = NoSuchGradient(absl::StrCat("extra_gradients.", name));
    }
  }
  if (!status.ok()) return status;
  // Goes last and waits for gRPC.
  LentMemory memory;
  absl::StatusOr<ChunkedRequest> request = ChunkedRequest::Make(
      call, numerics_version(), connection_->chunk_limits(), &memory);
  if (!request.ok()) return request.status();
  status = connection_->CheckMessage(request->header().Length());
  if (!status.ok()) return status;
  ChunkedReply reply(call, target());
  absl::Status accepted;
  status = connection_->Call(options, [&](grpc::ClientContext* context) {
    return SendComputeStream(
        connection_->channel(), context, [&] { return request->Next(); },
        [&](const grpc::ByteBuffer& message) {
          accepted = reply.Accept(message);
          return accepted.ok();
        });
  });
  if (!accepted.ok()) return accepted;
  if (!status.ok()) return status;
  return reply.Finish();
}

absl::StatusOr<ClientArena> Client::CreateArena(
    size_t bytes, const ArenaOptions& options) const {
  auto memory = connection_->arenas().Create(bytes, options);
  if (!memory.ok()) return memory.status();
  return ClientArena(*std::move(memory));
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
