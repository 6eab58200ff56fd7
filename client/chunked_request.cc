#include "client/chunked_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/messages.h"
#include "client/sizes.h"
#include "client/status.h"
#include "proto/wire/writer.h"

namespace lossd::client_internal {
namespace {

// What a step has of all tensors together. The server holds 8 MiB that wait for
// a tensor that is behind, and takes chunks of 4 MiB.
constexpr int64_t kStepBytes = int64_t{2} << 20;

// What a message may have besides the bytes of tensors.
constexpr int64_t kHeadBytes = 4096;

// Extra inputs up to this size go with the header.
constexpr size_t kSmallBytes = size_t{64} << 10;

// A tensor of the call that may go in chunks.
struct Part {
  std::string field;
  ArrayView* array = nullptr;
};

int64_t ElementsOf(const ArrayView& array) {
  return Product(array.shape).value_or(0);
}

// Whether the server wants it whole: one number for each column. Small ones
// might have a shape that is wrong.
bool IsForColumns(const ArrayView& input, const ArrayView& predictions) {
  if (input.bytes <= kSmallBytes) return true;
  return input.shape.size() == 1 && predictions.shape.size() > 1 &&
         input.shape[0] == predictions.shape.back();
}

// What may go in chunks, predictions last. What the divisor depends on comes
// first, of `deciding` parts, the most important one in front: `targets` are
// labels, or meet class weights.
std::vector<Part> PartsOf(LossCall* call, size_t* deciding) {
  std::vector<Part> parts;
  const ArrayView& predictions = *call->predictions;
  if (call->mask) parts.push_back({"mask", &*call->mask});
  if (call->sample_weights) {
    parts.push_back({"sample_weights", &*call->sample_weights});
  }
  if (call->upstream_gradient && ElementsOf(*call->upstream_gradient) > 1) {
    parts.push_back({"upstream_gradient", &*call->upstream_gradient});
  }
  const bool weighs_classes = call->extra_inputs.contains("class_weights");
  const auto add = [&](bool first) {
    if (call->targets &&
        first == (weighs_classes ||
                  ElementsOf(*call->targets) < ElementsOf(predictions))) {
      parts.push_back({"targets", &*call->targets});
    }
    for (auto& [name, input] : call->extra_inputs) {
      if (IsForColumns(input, predictions)) continue;
      if (first != (weighs_classes && name == "target_indices")) continue;
      parts.push_back({absl::StrCat("extra_inputs.", name), &input});
    }
  };
  add(true);
  *deciding = parts.size();
  add(false);
  parts.push_back({"predictions", &*call->predictions});
  return parts;
}

}  // namespace

absl::StatusOr<ChunkedRequest> ChunkedRequest::Make(
    const LossCall& call, const std::string& numerics_version,
    const ChunkLimits& limits, LentMemory* memory) {
  ChunkedRequest request(memory);
  // Without the memory of what goes in chunks.
  LossCall rest = call;
  if (rest.predictions) {
    size_t deciding = 0;
    const std::vector<Part> parts = PartsOf(&rest, &deciding);
    int64_t room = limits.header;
    for (const auto& [name, input] : rest.extra_inputs) {
      if (!IsForColumns(input, *rest.predictions)) continue;
      room -= static_cast<int64_t>(input.bytes);
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      ArrayView* const array = parts[i].array;
      const auto bytes = static_cast<int64_t>(array->bytes);
      if (i < deciding && bytes > 0 && bytes <= room) {
        room -= bytes;
        continue;
      }
      absl::Status status = request.AddTensor(parts[i].field, array);
      if (!status.ok()) return status;
    }
  }
  int64_t total = 0;
  for (const Tensor& tensor : request.tensors_) {
    total += static_cast<int64_t>(tensor.elements * tensor.element_bytes);
  }
  // Gradients may have four times the bytes of predictions, and come in a
  // message of the same limit.
  const int64_t step =
      std::clamp<int64_t>(limits.message / 4 - kHeadBytes, 64, kStepBytes);
  request.steps_ = static_cast<size_t>((total + step - 1) / step);

  v1::ComputeStreamRequest message;
  v1::StreamHeader& header = *message.mutable_header();
  wire::SentPayloads payloads;
  absl::Status status =
      WriteItem(rest, "", nullptr, memory, &payloads, header.mutable_item());
  if (!status.ok()) return status;
  *header.mutable_item()->mutable_outputs() = OutputsOf(call, {});
  header.set_numerics_version(numerics_version);
  request.header_ = wire::WriteMessage(message, payloads);
  return request;
}

absl::Status ChunkedRequest::AddTensor(const std::string& field,
                                       ArrayView* array) {
  const std::optional<int64_t> elements = Product(array->shape);
  const size_t size = SizeOf(array->dtype);
  const void* const data = std::exchange(array->data, nullptr);
  const size_t bytes = std::exchange(array->bytes, 0);
  if (!elements || size == 0) return absl::OkStatus();
  if (bytes % size != 0 || bytes / size != static_cast<size_t>(*elements)) {
    return InvalidField(absl::StrCat(field, ".data"),
                        absl::StrCat(bytes, " bytes"),
                        absl::StrCat(*elements, " x ", size, " bytes"));
  }
  if (bytes == 0) return absl::OkStatus();
  if (data == nullptr) {
    return InvalidField(absl::StrCat(field, ".data"), "null",
                        "memory for `bytes`");
  }
  tensors_.push_back({field.substr(field.rfind('.') + 1),
                      static_cast<const std::byte*>(data),
                      static_cast<size_t>(*elements), size});
  return absl::OkStatus();
}

// Rounded up: then no row's weight, label or mask is behind its predictions,
// which in a row of many columns would wait for it.
size_t ChunkedRequest::ElementsBefore(const Tensor& tensor, size_t step) const {
  const size_t each = tensor.elements / steps_;
  const size_t rest = tensor.elements % steps_;
  return each * step + (rest * step + steps_ - 1) / steps_;
}

std::optional<grpc::ByteBuffer> ChunkedRequest::Next() {
  if (header_) return std::exchange(header_, std::nullopt);
  for (; step_ < steps_; ++step_, tensor_ = 0) {
    while (tensor_ < tensors_.size()) {
      const Tensor& tensor = tensors_[tensor_++];
      const size_t begin = ElementsBefore(tensor, step_);
      const size_t end = ElementsBefore(tensor, step_ + 1);
      if (begin < end) return Chunk(tensor, begin, end);
    }
  }
  return std::nullopt;
}

grpc::ByteBuffer ChunkedRequest::Chunk(const Tensor& tensor, size_t begin,
                                       size_t end) const {
  v1::ComputeStreamRequest message;
  v1::StreamChunk& chunk = *message.mutable_chunk();
  chunk.set_tensor(tensor.name);
  chunk.set_first_element(static_cast<int64_t>(begin));
  wire::SentPayloads payloads;
  chunk.set_data(
      payloads.Add(memory_->Lend(tensor.data + begin * tensor.element_bytes,
                                 (end - begin) * tensor.element_bytes)));
  return wire::WriteMessage(message, payloads);
}

}  // namespace lossd::client_internal
