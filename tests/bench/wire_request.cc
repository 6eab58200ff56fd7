#include "tests/bench/wire_request.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>

namespace lossd::bench {
namespace {

constexpr size_t kChunkElements = (size_t{1} << 20) / sizeof(float);

v1::Tensor TensorOf(size_t elements) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::DTYPE_FLOAT32);
  tensor.add_shape(static_cast<int64_t>(elements));
  return tensor;
}

void SetData(std::span<const float> values, v1::Tensor* tensor) {
  tensor->set_data(values.data(), values.size_bytes());
}

grpc::ByteBuffer Serialize(const v1::ComputeStreamRequest& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

}  // namespace

WireRequest::WireRequest(size_t items, size_t elements,
                         const std::string& numerics_version)
    : items_(items),
      elements_(elements),
      numerics_version_(numerics_version),
      predictions_(items * elements),
      targets_(items * elements) {
  std::minstd_rand random;
  std::uniform_real_distribution<float> uniform;
  for (float& value : predictions_) value = uniform(random);
  for (float& value : targets_) value = uniform(random);
  v1::ComputeRequest request;
  request.set_numerics_version(numerics_version);
  for (size_t i = 0; i < items; ++i) {
    v1::LossItem& item = *request.add_items();
    item = Item();
    const size_t first = i * elements;
    SetData({&predictions_[first], elements}, item.mutable_predictions());
    SetData({&targets_[first], elements}, item.mutable_targets());
  }
  framed_ = request.SerializeAsString();
}

v1::LossItem WireRequest::Item() const {
  v1::LossItem item;
  item.mutable_loss()->mutable_mean_squared_error();
  *item.mutable_predictions() = TensorOf(elements_);
  *item.mutable_targets() = TensorOf(elements_);
  item.mutable_outputs()->set_gradient(true);
  return item;
}

grpc::ByteBuffer WireRequest::plain() const {
  const grpc::Slice slices[] = {
      {predictions_.data(), predictions_.size() * sizeof(float),
       grpc::Slice::STATIC_SLICE},
      {targets_.data(), targets_.size() * sizeof(float),
       grpc::Slice::STATIC_SLICE}};
  return {slices, std::size(slices)};
}

std::vector<LossCall> WireRequest::Calls(std::span<float> gradient) const {
  std::vector<LossCall> calls(items_);
  for (size_t i = 0; i < items_; ++i) {
    const size_t first = i * elements_;
    calls[i].loss.mutable_mean_squared_error();
    calls[i].predictions = ViewOf({&predictions_[first], elements_});
    calls[i].targets = ViewOf({&targets_[first], elements_});
    calls[i].gradient = MutableViewOf(gradient.subspan(first, elements_));
  }
  return calls;
}

std::vector<grpc::ByteBuffer> WireRequest::StreamMessages() const {
  std::vector<grpc::ByteBuffer> messages;
  v1::ComputeStreamRequest message;
  *message.mutable_header()->mutable_item() = Item();
  message.mutable_header()->set_numerics_version(numerics_version_);
  messages.push_back(Serialize(message));
  // In turn, so that blocks of the loss become known while others travel.
  for (size_t first = 0; first < elements_; first += kChunkElements) {
    const size_t count = std::min(kChunkElements, elements_ - first);
    for (const auto& [name, values] : {std::pair{"predictions", &predictions_},
                                       std::pair{"targets", &targets_}}) {
      v1::StreamChunk& chunk = *message.mutable_chunk();
      chunk.set_tensor(name);
      chunk.set_first_element(static_cast<int64_t>(first));
      chunk.set_data(&(*values)[first], count * sizeof(float));
      messages.push_back(Serialize(message));
    }
  }
  return messages;
}

grpc::Status ReadReply(grpc::ByteBuffer reply, double* loss) {
  v1::ComputeResponse response;
  grpc::Status status =
      grpc::SerializationTraits<v1::ComputeResponse>::Deserialize(&reply,
                                                                  &response);
  if (!status.ok()) return status;
  for (const v1::LossResult& result : response.results()) {
    if (result.status().code() == 0) continue;
    return {static_cast<grpc::StatusCode>(result.status().code()),
            result.status().message()};
  }
  *loss = response.results(0).loss();
  return grpc::Status::OK;
}

}  // namespace lossd::bench
