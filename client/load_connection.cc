#include "client/load_connection.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/compute_rpc.h"

namespace lossd::client_internal {
namespace {

constexpr absl::Duration kConnecting = absl::Milliseconds(20);

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments = ChannelArgumentsOf(-1);
  // Else all channels to one target share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
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
  const grpc::Slice slice(request.data(), request.size(),
                          grpc::Slice::STATIC_SLICE);
  grpc::ByteBuffer buffer;
  // A reply's tensors are rarely larger than the request's.
  grpc::Status status =
      SendCompute(channel_, &context, grpc::ByteBuffer(&slice, 1),
                  static_cast<int64_t>(request.size()), &buffer);
  LoadReply reply;
  if (status.ok()) {
    reply.bytes = static_cast<int64_t>(buffer.Length());
    status = grpc::SerializationTraits<v1::ComputeResponse>::Deserialize(
        &buffer, &reply.response);
  }
  if (!status.ok()) return StatusOfCall(status, target_, deadline);
  return reply;
}

}  // namespace lossd::client_internal
