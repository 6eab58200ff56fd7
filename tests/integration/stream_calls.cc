#include "tests/integration/stream_calls.h"

#include <algorithm>
#include <random>
#include <utility>

#include "gtest/gtest.h"
#include "lib/core/dtype.h"

namespace lossd::test {
namespace {

size_t BytesOf(v1::Dtype dtype) { return SizeOf(static_cast<Dtype>(dtype)); }

void TakeOut(const std::string& name, v1::Tensor* tensor,
             std::deque<StreamedTensor>* to) {
  to->push_back(
      {name, BytesOf(tensor->dtype()), std::move(*tensor->mutable_data())});
  tensor->clear_data();
}

}  // namespace

StreamedItem TakeApart(const v1::LossItem& item) {
  StreamedItem apart;
  v1::LossItem& rest = *apart.header.mutable_header()->mutable_item();
  rest = item;
  if (rest.has_sample_weights()) {
    TakeOut("sample_weights", rest.mutable_sample_weights(), &apart.tensors);
  }
  if (rest.has_mask()) TakeOut("mask", rest.mutable_mask(), &apart.tensors);
  if (rest.upstream_gradient().shape_size() > 0) {
    TakeOut("upstream_gradient", rest.mutable_upstream_gradient(),
            &apart.tensors);
  }
  for (auto& [name, tensor] : *rest.mutable_extra_inputs()) {
    // Or it has a number for each column.
    if (tensor.shape(0) != rest.predictions().shape(0)) continue;
    TakeOut(name, &tensor, &apart.tensors);
  }
  if (rest.has_targets()) {
    TakeOut("targets", rest.mutable_targets(), &apart.tensors);
  }
  TakeOut("predictions", rest.mutable_predictions(), &apart.tensors);
  return apart;
}

v1::ComputeStreamRequest MseHeader(int64_t elements) {
  v1::ComputeStreamRequest message;
  v1::LossItem& item = *message.mutable_header()->mutable_item();
  item.mutable_loss()->mutable_mean_squared_error();
  item.mutable_outputs()->set_gradient(true);
  item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT32);
  item.mutable_predictions()->add_shape(elements);
  *item.mutable_targets() = item.predictions();
  return message;
}

v1::ComputeStreamRequest ChunkOf(const std::string& tensor, int64_t first,
                                 std::string data) {
  v1::ComputeStreamRequest message;
  message.mutable_chunk()->set_tensor(tensor);
  message.mutable_chunk()->set_first_element(first);
  message.mutable_chunk()->set_data(std::move(data));
  return message;
}

std::vector<v1::ComputeStreamRequest> Messages(const StreamedItem& item,
                                               Order order, size_t most,
                                               uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<v1::ComputeStreamRequest> messages = {item.header};
  std::vector<size_t> sent(item.tensors.size());
  const auto part = [&](size_t i) {
    return item.tensors[i].data.empty()
               ? 1
               : static_cast<double>(sent[i]) /
                     static_cast<double>(item.tensors[i].data.size());
  };
  while (true) {
    size_t next = 0;
    for (size_t i = 0; i < sent.size(); ++i) {
      if (order == Order::kTogether ? part(i) < part(next) : part(next) == 1) {
        next = i;
      }
    }
    if (part(next) == 1) return messages;
    const StreamedTensor& tensor = item.tensors[next];
    // Of every order of magnitude.
    const size_t bound = std::max<size_t>(most >> (random() % 8), 1);
    const size_t bytes = std::min((random() % bound + 1) * tensor.element_bytes,
                                  tensor.data.size() - sent[next]);
    messages.push_back(ChunkOf(
        tensor.name, static_cast<int64_t>(sent[next] / tensor.element_bytes),
        tensor.data.substr(sent[next], bytes)));
    sent[next] += bytes;
  }
}

StreamReply Joined(const std::vector<v1::ComputeStreamResponse>& messages,
                   const v1::LossItem& item) {
  StreamReply reply;
  std::map<std::string, std::string> tensors;
  const v1::Dtype dtype =
      item.outputs().gradient_dtype() == v1::DTYPE_UNSPECIFIED
          ? item.predictions().dtype()
          : item.outputs().gradient_dtype();
  for (const v1::ComputeStreamResponse& message : messages) {
    if (message.has_result()) {
      EXPECT_EQ(&message, &messages.back());
      reply.result = message.result();
      if (message.has_gradient_scale()) {
        reply.gradient_scale = message.gradient_scale();
      }
      continue;
    }
    const v1::StreamChunk& chunk = message.chunk();
    const size_t bytes =
        chunk.tensor() == "row_losses" ? sizeof(double) : BytesOf(dtype);
    std::string& data = tensors[chunk.tensor()];
    EXPECT_EQ(chunk.first_element(), data.size() / bytes) << chunk.tensor();
    EXPECT_LE(chunk.data().size(), size_t{1} << 20);
    EXPECT_FALSE(chunk.data().empty());
    data += chunk.data();
  }
  for (auto& [name, data] : tensors) {
    v1::Tensor* tensor = name == "gradient" ? reply.result.mutable_gradient()
                         : name == "row_losses"
                             ? reply.result.mutable_row_losses()
                             : &(*reply.result.mutable_extra_gradients())[name];
    tensor->set_dtype(name == "row_losses" ? v1::DTYPE_FLOAT64 : dtype);
    tensor->set_data(std::move(data));
  }
  return reply;
}

}  // namespace lossd::test
