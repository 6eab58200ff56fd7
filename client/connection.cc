#include "client/connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/compute_rpc.h"
#include "proto/wire/stream_limits.h"

namespace lossd {
namespace {

using client_internal::ChannelArgumentsOf;
using client_internal::kKeptMessage;

// No lossd accepts a larger message.
constexpr int64_t kMessageCeiling = int64_t{1} << 30;

// What the header of a call in chunks has besides the bytes of tensors,
// generously.
constexpr int64_t kHeaderBytes = int64_t{64} << 10;

// Headers that what a server keeps for every stream is enough for.
constexpr int64_t kFreeHeaderBytes = wire::kMaxChunkBytes / 4 * 3;

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
          // The server's limit is learnt over this very channel; until then the
          // ceiling stands in for it.
          ChannelArgumentsOf(message_limit_))),
      stub_(v1::LossService::NewStub(channel_)),
      arenas_(target_, deadline_) {}

void Client::Connection::Adopt(const v1::GetServerInfoResponse& info) {
  message_limit_ = std::min(message_limit_, info.limits().max_message_bytes());
  memory_budget_ = info.limits().memory_budget_bytes();
  numerics_version_ = info.numerics_version();
  arenas_.Adopt(info.arena_address());
}

absl::Status Client::Connection::CheckMessage(size_t bytes) const {
  if (bytes <= static_cast<size_t>(message_limit_)) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the request has ", bytes, " bytes, more than the message limit of ",
      message_limit_, " bytes of ", target_));
}

client_internal::ChunkLimits Client::Connection::chunk_limits() const {
  int64_t header = message_limit_ - kHeaderBytes;
  // Beside other calls, and what a server keeps for every stream anyhow.
  if (memory_budget_ > 0) {
    const int64_t room =
        std::min(memory_budget_ / 4, memory_budget_ - wire::kStreamBytes);
    header = std::min(header, std::max(room, kFreeHeaderBytes));
  }
  return {message_limit_, header};
}

absl::Status Client::Connection::Compute(const grpc::ByteBuffer& request,
                                         int64_t reply_bytes,
                                         const CallOptions& options,
                                         grpc::ByteBuffer* reply) const {
  const size_t bytes = request.Length();
  absl::Status status = CheckMessage(bytes);
  if (!status.ok()) return status;
  // A call whose message gRPC keeps does end while it is writing. Then the
  // memory would have to be waited for; a copy costs less.
  const grpc::ByteBuffer sent =
      bytes <= kKeptMessage ? Owned(request) : request;
  return Call(options, [&](grpc::ClientContext* context) {
    return client_internal::SendCompute(channel_, context, sent, reply_bytes,
                                        reply);
  });
}

}  // namespace lossd
