#include "tests/bench/arena_small.h"

#include <utility>

#include "absl/time/time.h"
#include "client/client.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/arena/protocol.h"
#include "tests/bench/wire_request.h"

namespace lossd::bench {
namespace {

// Of the request's three ranges of `bytes` bytes, one behind the other.
v1::ArenaRef RefOf(const arena::Id& id, size_t range, size_t bytes) {
  v1::ArenaRef ref;
  ref.set_id(id.data(), id.size());
  ref.set_offset(range * bytes);
  ref.set_length(bytes);
  return ref;
}

// As the SDK writes it.
v1::ComputeRequest RequestOf(const arena::Id& id, size_t elements,
                             const std::string& numerics_version) {
  const size_t bytes = elements * sizeof(float);
  v1::ComputeRequest request;
  request.set_numerics_version(numerics_version);
  v1::LossItem& item = *request.add_items();
  item.mutable_loss()->mutable_mean_squared_error();
  size_t range = 0;
  for (v1::Tensor* tensor :
       {item.mutable_predictions(), item.mutable_targets()}) {
    tensor->set_dtype(v1::DTYPE_FLOAT32);
    tensor->add_shape(static_cast<int64_t>(elements));
    *tensor->mutable_arena() = RefOf(id, range++, bytes);
  }
  item.mutable_outputs()->set_gradient(true);
  *item.mutable_outputs()->mutable_gradient_to() = RefOf(id, range, bytes);
  return request;
}

}  // namespace

absl::StatusOr<ArenaSmall> ArenaSmall::Make(const std::string& address,
                                            const std::string& echo_address,
                                            size_t elements) {
  const auto client = Client::Connect(address);
  if (!client.ok()) return client.status();
  const auto info = client->GetServerInfo();
  if (!info.ok()) return info.status();
  auto socket = client_internal::ArenaSocket::Connect(info->arena_address(),
                                                      absl::Seconds(10));
  if (!socket.ok()) return socket.status();
  const auto granted = (*socket)->Create(3 * elements * sizeof(float));
  if (!granted.ok()) return granted.status();
  const grpc::Slice bytes(
      RequestOf(granted->id, elements, client->numerics_version())
          .SerializeAsString());
  const grpc::ByteBuffer request(&bytes, 1);
  auto compute = std::make_shared<const RawMethod>(
      Open(address), "/lossd.v1.LossService/Compute");
  grpc::ByteBuffer reply;
  grpc::Status status = compute->Call(request, &reply);
  const size_t reply_bytes = reply.Length();
  double loss = 0;
  if (status.ok()) status = ReadReply(reply, &loss);
  if (!status.ok()) return absl::InternalError(status.error_message());
  auto echo = std::make_shared<const RawMethod>(
      Open(echo_address), "/echo/unary/" + std::to_string(reply_bytes));
  return ArenaSmall(*std::move(socket), std::move(compute), std::move(echo),
                    request, reply_bytes);
}

ArenaSmall::ArenaSmall(std::shared_ptr<client_internal::ArenaSocket> socket,
                       std::shared_ptr<const RawMethod> compute,
                       std::shared_ptr<const RawMethod> echo,
                       grpc::ByteBuffer request, size_t reply_bytes)
    : socket_(std::move(socket)),
      compute_(std::move(compute)),
      echo_(std::move(echo)),
      request_(std::move(request)),
      reply_bytes_(reply_bytes) {}

grpc::Status ArenaSmall::CallServer() const {
  return compute_->CallFor(reply_bytes_, request_);
}

grpc::Status ArenaSmall::CallEcho() const {
  return echo_->CallFor(reply_bytes_, request_);
}

}  // namespace lossd::bench
