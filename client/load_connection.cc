#include "client/load_connection.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/status.h"
#include "proto/wire/announced_bytes.h"

namespace lossd::client_internal {
namespace {

constexpr absl::Duration kConnecting = absl::Milliseconds(20);

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // Else all channels to one target share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // As Client has it.
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A server that comes back is found within a second, not after two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return arguments;
}

}  // namespace

LoadConnection::LoadConnection(std::string target)
    : target_(std::move(target)),
      channel_(grpc::CreateCustomChannel(
          target_, grpc::InsecureChannelCredentials(), Arguments())) {}

absl::Status LoadConnection::Connect(absl::Duration patience) const {
  const absl::Time deadline = absl::Now() + patience;
  if (channel_->WaitForConnected(absl::ToChronoTime(deadline))) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(target_, ": no connection within ",
                                             absl::FormatDuration(patience)));
}

absl::StatusOr<LoadReply> LoadConnection::Compute(
    const std::string& request, absl::Duration deadline) const {
  // A call that fails at once polls nothing, and a connection that nobody polls
  // is not made: gRPC 1.51 finds it ten seconds later.
  if (channel_->GetState(/*try_to_connect=*/true) != GRPC_CHANNEL_READY) {
    channel_->WaitForConnected(
        absl::ToChronoTime(absl::Now() + std::min(kConnecting, deadline)));
  }
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + deadline));
  const auto bytes = static_cast<int64_t>(request.size());
  // A reply's tensors are rarely larger than the request's.
  context.AddMetadata(wire::kAnnouncedBytesHeader,
                      wire::FormatAnnouncedBytes({bytes, bytes}));
  const grpc::Slice slice(request.data(), request.size(),
                          grpc::Slice::STATIC_SLICE);
  // The thread that waits is the one that reads: gRPC's callbacks would add a
  // change of threads to every latency.
  grpc::CompletionQueue queue;
  const auto call = grpc::GenericStub(channel_).PrepareUnaryCall(
      &context, "/lossd.v1.LossService/Compute", grpc::ByteBuffer(&slice, 1),
      &queue);
  call->StartCall();
  grpc::ByteBuffer buffer;
  grpc::Status status;
  call->Finish(&buffer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  LoadReply reply;
  if (status.ok()) {
    reply.bytes = static_cast<int64_t>(buffer.Length());
    status = grpc::SerializationTraits<v1::ComputeResponse>::Deserialize(
        &buffer, &reply.response);
  }
  if (!status.ok()) return FromGrpc(status, target_);
  return reply;
}

}  // namespace lossd::client_internal
