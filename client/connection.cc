#include "client/connection.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/status.h"
#include "proto/wire/announced_bytes.h"

namespace lossd {
namespace {

// No lossd accepts a larger message.
constexpr int64_t kMessageCeiling = int64_t{1} << 30;

// Messages up to this size gRPC keeps, so that it can send them again when a
// connection breaks. Its default.
constexpr int kKeptMessage = 256 << 10;

// How long nobody may read at the other end of a connection.
constexpr int kStallMilliseconds = 20000;

// How a channel is set up. What makes it fast belongs here, too, and must fit
// what the server sets.
grpc::ChannelArguments ChannelArgumentsOf(int64_t message_limit) {
  grpc::ChannelArguments arguments;
  // The server's limit is learnt over this very channel; until then the
  // ceiling stands in for it.
  arguments.SetMaxReceiveMessageSize(static_cast<int>(message_limit));
  arguments.SetMaxSendMessageSize(static_cast<int>(message_limit));
  // Else a name server could add retries that nobody asked for.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // Else http_proxy in the environment diverts even calls to 127.0.0.1.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kKeptMessage);
  // While gRPC is writing a call's request to the connection, the call does not
  // end, not even at its deadline. TCP_USER_TIMEOUT bounds that, and comes with
  // keepalive only; pings every 24 days are none.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   std::numeric_limits<int>::max() - 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kStallMilliseconds);
  return arguments;
}

// The message without memory of others.
grpc::ByteBuffer Owned(const grpc::ByteBuffer& message) {
  grpc::Slice bytes;
  // A message of one slice was written as a whole.
  if (message.TrySingleSlice(&bytes).ok() ||
      !message.DumpToSingleSlice(&bytes).ok()) {
    return message;
  }
  return {&bytes, 1};
}

// Blocks like a generated stub, without the detour over a thread of gRPC that a
// callback takes.
grpc::Status SendCompute(const std::shared_ptr<grpc::Channel>& channel,
                         grpc::ClientContext* context,
                         const grpc::ByteBuffer& request,
                         grpc::ByteBuffer* reply) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(
      context, "/lossd.v1.LossService/Compute", request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

}  // namespace

Client::Connection::Connection(std::string target, const ClientOptions& options)
    : target_(std::move(target)),
      deadline_(options.deadline),
      message_limit_(
          std::min(options.max_message_bytes.value_or(kMessageCeiling),
                   kMessageCeiling)),
      channel_(grpc::CreateCustomChannel(
          target_,
          options.credentials ? options.credentials
                              : grpc::InsecureChannelCredentials(),
          ChannelArgumentsOf(message_limit_))),
      stub_(v1::LossService::NewStub(channel_)) {}

void Client::Connection::Adopt(const v1::GetServerInfoResponse& info) {
  message_limit_ = std::min(message_limit_, info.limits().max_message_bytes());
  numerics_version_ = info.numerics_version();
}

absl::Status Client::Connection::Compute(const grpc::ByteBuffer& request,
                                         int64_t reply_bytes,
                                         const CallOptions& options,
                                         grpc::ByteBuffer* reply) const {
  const size_t bytes = request.Length();
  if (bytes > static_cast<size_t>(message_limit_)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the request has ", bytes, " bytes, more than the message limit of ",
        message_limit_, " bytes of ", target_));
  }
  // A call whose message gRPC keeps does end while it is writing. Then the
  // memory would have to be waited for; a copy costs less.
  const grpc::ByteBuffer sent =
      bytes <= kKeptMessage ? Owned(request) : request;
  return Call(options, [&](grpc::ClientContext* context) {
    context->AddMetadata(
        wire::kAnnouncedBytesHeader,
        wire::FormatAnnouncedBytes(
            {.request = static_cast<int64_t>(bytes), .reply = reply_bytes}));
    return SendCompute(channel_, context, sent, reply);
  });
}

absl::Status Client::Connection::StatusOf(const grpc::Status& status,
                                          absl::Duration deadline) const {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(absl::StrCat(
        target_, ": no answer within ", absl::FormatDuration(deadline)));
  }
  return client_internal::FromGrpc(status, target_);
}

}  // namespace lossd
