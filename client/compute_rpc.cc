#include "client/compute_rpc.h"

#include <grpcpp/generic/generic_stub.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "client/status.h"
#include "proto/wire/announced_bytes.h"
#include "proto/wire/http2_settings.h"

namespace lossd::client_internal {

namespace {

// How long nobody may read at the other end of a connection.
constexpr int kStallMilliseconds = 20000;

}  // namespace

grpc::ChannelArguments ChannelArgumentsOf(int64_t message_limit) {
  grpc::ChannelArguments arguments;
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
  wire::SetHttp2([&arguments](const char* name, int number) {
    arguments.SetInt(name, number);
  });
  return arguments;
}

absl::Status StatusOfCall(const grpc::Status& status, const std::string& target,
                          absl::Duration deadline) {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::DeadlineExceededError(absl::StrCat(
        target, ": no answer within ", absl::FormatDuration(deadline)));
  }
  return FromGrpc(status, target);
}

grpc::Status SendCompute(const std::shared_ptr<grpc::Channel>& channel,
                         grpc::ClientContext* context,
                         const grpc::ByteBuffer& request, int64_t reply_bytes,
                         grpc::ByteBuffer* reply) {
  context->AddMetadata(wire::kAnnouncedBytesHeader,
                       wire::FormatAnnouncedBytes(
                           {.request = static_cast<int64_t>(request.Length()),
                            .reply = reply_bytes}));
  grpc::CompletionQueue queue;
  const auto call = grpc::GenericStub(channel).PrepareUnaryCall(
      context, "/lossd.v1.LossService/Compute", request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

}  // namespace lossd::client_internal
