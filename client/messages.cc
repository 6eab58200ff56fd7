#include "client/messages.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/sizes.h"
#include "client/status.h"
#include "proto/wire/announced_bytes.h"

namespace lossd::client_internal {
namespace {

static_assert(std::endian::native == std::endian::little,
              "arrays travel as they lie in memory");

// 0 for what no gradient has.
size_t SizeOfGradient(v1::Dtype dtype) {
  switch (dtype) {
    case v1::DTYPE_FLOAT16:
    case v1::DTYPE_BFLOAT16:
    case v1::DTYPE_FLOAT32:
    case v1::DTYPE_FLOAT64:
      return SizeOf(dtype);
    default:
      return 0;
  }
}

absl::Status CheckSize(const std::string& field, size_t bytes, int64_t elements,
                       size_t element_size, const char* what) {
  if (bytes % element_size == 0 &&
      bytes / element_size == static_cast<size_t>(elements)) {
    return absl::OkStatus();
  }
  return InvalidField(field, absl::StrCat(bytes, " bytes"),
                      absl::StrCat(elements, " x ", element_size,
                                   " bytes, one element for each ", what));
}

absl::Status CheckGradient(const std::string& field,
                           const MutableArrayView& destination,
                           std::optional<int64_t> predictions) {
  if (destination.data == nullptr && destination.bytes > 0) {
    return InvalidField(absl::StrCat(field, ".data"), "null",
                        "memory for `bytes`");
  }
  const size_t size = SizeOfGradient(destination.dtype);
  if (size == 0) {
    return InvalidField(absl::StrCat(field, ".dtype"),
                        v1::Dtype_Name(destination.dtype),
                        "DTYPE_FLOAT32, DTYPE_FLOAT64, DTYPE_FLOAT16 or "
                        "DTYPE_BFLOAT16");
  }
  if (!predictions) return absl::OkStatus();
  return CheckSize(field, destination.bytes, *predictions, size, "prediction");
}

// One of the gradients, which all have one size and, in the request, one dtype.
const MutableArrayView& AnyGradient(const LossCall& call) {
  return call.gradient.bytes > 0 || call.extra_gradients.empty()
             ? call.gradient
             : call.extra_gradients.begin()->second;
}

v1::Dtype GradientDtype(const LossCall& call) {
  return AnyGradient(call).dtype;
}

// What WriteItem puts arrays into.
class TensorWriter {
 public:
  TensorWriter(const char* path, CallArenas* arenas, LentMemory* memory,
               wire::SentPayloads* payloads)
      : path_(path), arenas_(arenas), memory_(*memory), payloads_(*payloads) {}

  // `field` and, of maps, `key` are what errors name.
  void Write(const ArrayView& array, const char* field, const std::string& key,
             v1::Tensor* tensor) {
    tensor->set_dtype(array.dtype);
    tensor->mutable_shape()->Add(array.shape.begin(), array.shape.end());
    // Where there is no memory, the server's text about missing data is the
    // better answer.
    if (array.data == nullptr || array.bytes == 0) return;
    if (arenas_ != nullptr && !arenas_->empty() &&
        WriteArena(array, field, key, tensor)) {
      return;
    }
    tensor->set_data(payloads_.Add(SliceOf(array)));
  }

  // The first failure.
  const absl::Status& status() const { return status_; }

 private:
  // Whether it stands for the array's bytes.
  bool WriteArena(const ArrayView& array, const char* field,
                  const std::string& key, v1::Tensor* tensor) {
    auto place =
        arenas_->Find(absl::StrCat(path_, field, key), array.data, array.bytes);
    if (!place.ok()) {
      status_.Update(place.status());
      return true;
    }
    if (!*place) return false;
    *tensor->mutable_arena() = **std::move(place);
    return true;
  }

  grpc::Slice SliceOf(const ArrayView& array) {
    return array.bytes > wire::kCopiedPayload
               ? memory_.Lend(array.data, array.bytes)
               : grpc::Slice(array.data, array.bytes,
                             grpc::Slice::STATIC_SLICE);
  }

  const char* const path_;
  CallArenas* const arenas_;
  LentMemory& memory_;
  wire::SentPayloads& payloads_;
  absl::Status status_;
};

// A tensor of a reply.
struct Received {
  v1::Dtype dtype = v1::DTYPE_UNSPECIFIED;
  std::span<const int64_t> shape;
  wire::Payload bytes;
};

Received ReceivedOf(const v1::Tensor& tensor,
                    const wire::ReceivedPayloads& payloads) {
  return {tensor.dtype(),
          {tensor.shape().data(), static_cast<size_t>(tensor.shape_size())},
          payloads.Of(tensor.data())};
}

absl::Status CheckReply(const std::string& field, const Received& tensor,
                        v1::Dtype dtype, size_t bytes) {
  if (tensor.dtype == dtype && tensor.bytes.size() == bytes) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("the server's ", field, " has ", tensor.bytes.size(),
                   " bytes of ", v1::Dtype_Name(tensor.dtype),
                   ", expected were ", bytes, " of ", v1::Dtype_Name(dtype)));
}

// Of a tensor that the server was to write to `wanted`.
absl::Status CheckPlace(const std::string& field, const v1::Tensor& tensor,
                        v1::Dtype dtype, const v1::ArenaRef& wanted) {
  const v1::ArenaRef& place = tensor.arena();
  if (tensor.dtype() == dtype && place.id() == wanted.id() &&
      place.offset() == wanted.offset() && place.length() == wanted.length()) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat(
      "the server's ", field, " has ", place.length(), " bytes of ",
      v1::Dtype_Name(tensor.dtype()), " from byte ", place.offset(),
      " of an arena, expected were ", wanted.length(), " of ",
      v1::Dtype_Name(dtype), " from byte ", wanted.offset()));
}

// What a row is depends on loss, options and semantics: only the reply tells
// how many there are.
absl::Status CheckRowLosses(const Received& tensor, size_t bytes) {
  const std::optional<int64_t> rows = Product(tensor.shape);
  if (rows &&
      tensor.bytes.size() / sizeof(double) == static_cast<size_t>(*rows)) {
    absl::Status status = client_internal::CheckRowLosses(bytes, *rows);
    if (!status.ok()) return status;
  }
  return CheckReply("row_losses", tensor, v1::DTYPE_FLOAT64, bytes);
}

// What a result's tensors are checked for, and copied to when all fit.
class Destinations {
 public:
  // `wanted` says what is in an arena already.
  Destinations(const v1::LossResult& result,
               const wire::ReceivedPayloads& payloads,
               const v1::Outputs& wanted)
      : result_(result), payloads_(payloads), wanted_(wanted) {}

  absl::Status Check(const LossCall& call) {
    absl::Status status;
    if (wanted_.has_gradient_to()) {
      status = CheckPlace("gradient", result_.gradient(), call.gradient.dtype,
                          wanted_.gradient_to());
    } else if (call.gradient.bytes > 0) {
      status = Add("gradient", result_.gradient(), call.gradient);
    }
    if (!status.ok()) return status;
    for (const auto& [name, destination] : call.extra_gradients) {
      const auto gradient = result_.extra_gradients().find(name);
      const std::string field = absl::StrCat("extra_gradients.", name);
      if (gradient == result_.extra_gradients().end()) {
        return NoSuchGradient(field);
      }
      const auto place = wanted_.extra_gradients_to().find(name);
      status = place == wanted_.extra_gradients_to().end()
                   ? Add(field, gradient->second, destination)
                   : CheckPlace(field, gradient->second, destination.dtype,
                                place->second);
      if (!status.ok()) return status;
    }
    if (wanted_.has_row_losses_to()) {
      return CheckPlace("row_losses", result_.row_losses(), v1::DTYPE_FLOAT64,
                        wanted_.row_losses_to());
    }
    if (call.row_losses.empty()) return absl::OkStatus();
    const Received received = ReceivedOf(result_.row_losses(), payloads_);
    copies_.emplace_back(received.bytes, call.row_losses.data());
    return CheckRowLosses(received, call.row_losses.size_bytes());
  }

  void Fill() const {
    for (const auto& [bytes, to] : copies_) {
      auto* at = static_cast<std::byte*>(to);
      for (const std::span<const std::byte> piece : bytes.pieces()) {
        at = std::copy(piece.begin(), piece.end(), at);
      }
    }
  }

 private:
  absl::Status Add(const std::string& field, const v1::Tensor& tensor,
                   const MutableArrayView& destination) {
    const Received received = ReceivedOf(tensor, payloads_);
    copies_.emplace_back(received.bytes, destination.data);
    return CheckReply(field, received, destination.dtype, destination.bytes);
  }

  const v1::LossResult& result_;
  const wire::ReceivedPayloads& payloads_;
  const v1::Outputs& wanted_;
  std::vector<std::pair<wire::Payload, void*>> copies_;
};

}  // namespace

absl::Status CheckRowLosses(size_t bytes, int64_t rows) {
  return CheckSize("row_losses", bytes, rows, sizeof(double), "row");
}

absl::Status NoSuchGradient(const std::string& field) {
  return InvalidField(field, "a destination",
                      "extra inputs that are given and differentiable");
}

absl::Status CheckDestinations(const LossCall& call, const LossCall& defaults) {
  const auto& predictions =
      call.predictions ? call.predictions : defaults.predictions;
  std::optional<int64_t> elements;
  if (predictions) elements = Product(predictions->shape);
  if (call.gradient.bytes > 0) {
    absl::Status status = CheckGradient("gradient", call.gradient, elements);
    if (!status.ok()) return status;
  }
  for (const auto& [name, destination] : call.extra_gradients) {
    const std::string field = absl::StrCat("extra_gradients.", name);
    absl::Status status = CheckGradient(field, destination, elements);
    if (!status.ok()) return status;
    const v1::Dtype dtype = GradientDtype(call);
    if (destination.dtype == dtype) continue;
    return InvalidField(
        absl::StrCat(field, ".dtype"), v1::Dtype_Name(destination.dtype),
        absl::StrCat(v1::Dtype_Name(dtype), ", as the other gradients have"));
  }
  return absl::OkStatus();
}

absl::Status WriteItem(const LossCall& call, const char* path,
                       CallArenas* arenas, LentMemory* memory,
                       wire::SentPayloads* payloads, v1::LossItem* item) {
  TensorWriter writer(path, arenas, memory, payloads);
  const auto write = [&](const std::optional<ArrayView>& array,
                         const char* field, auto mutable_tensor) {
    if (array) writer.Write(*array, field, "", (item->*mutable_tensor)());
  };
  if (call.loss.kind_case() != v1::Loss::KIND_NOT_SET) {
    *item->mutable_loss() = call.loss;
  }
  write(call.predictions, "predictions", &v1::LossItem::mutable_predictions);
  write(call.targets, "targets", &v1::LossItem::mutable_targets);
  write(call.sample_weights, "sample_weights",
        &v1::LossItem::mutable_sample_weights);
  write(call.mask, "mask", &v1::LossItem::mutable_mask);
  write(call.upstream_gradient, "upstream_gradient",
        &v1::LossItem::mutable_upstream_gradient);
  for (const auto& [name, array] : call.extra_inputs) {
    writer.Write(array, "extra_inputs.", name,
                 &(*item->mutable_extra_inputs())[name]);
  }
  item->set_reduction(call.reduction);
  if (call.normalizer) item->set_normalizer(*call.normalizer);
  item->set_semantics(call.semantics);
  return writer.status();
}

v1::Outputs OutputsOf(const LossCall& call, const LossCall& defaults) {
  v1::Outputs outputs;
  if (call.gradient.bytes > 0 || !call.extra_gradients.empty()) {
    outputs.set_gradient(true);
    outputs.set_gradient_dtype(GradientDtype(call));
  }
  outputs.set_row_losses(!call.row_losses.empty());
  outputs.set_diagnostics(call.diagnostics || defaults.diagnostics);
  return outputs;
}

int64_t ResultBytes(const LossCall& call, const LossCall& defaults,
                    const v1::Outputs& outputs) {
  size_t bytes = wire::kAnnouncedResultBytes;
  if (!outputs.has_row_losses_to()) bytes += call.row_losses.size_bytes();
  const auto& predictions =
      call.predictions ? call.predictions : defaults.predictions;
  if (!predictions) return static_cast<int64_t>(bytes);
  // Whoever wants one gradient is sent them all, and they have one size.
  const size_t gradient = AnyGradient(call).bytes;
  if (!outputs.has_gradient_to()) bytes += gradient;
  const std::optional<int64_t> elements = Product(predictions->shape);
  const auto add_gradient_of = [&](const std::string& name,
                                   const ArrayView& input) {
    if (outputs.extra_gradients_to().contains(name)) return;
    // Only the server knows which are differentiable.
    if (Product(input.shape) == elements) bytes += gradient;
  };
  for (const auto& [name, input] : call.extra_inputs) {
    add_gradient_of(name, input);
  }
  for (const auto& [name, input] : defaults.extra_inputs) {
    if (!call.extra_inputs.contains(name)) add_gradient_of(name, input);
  }
  // Sent without being asked for; there are no more rows than predictions.
  const v1::Reduction reduction =
      call.reduction ? call.reduction : defaults.reduction;
  const size_t size = SizeOfGradient(predictions->dtype);
  if (reduction == v1::REDUCTION_NONE && call.row_losses.empty() && size > 0) {
    bytes += predictions->bytes / size * sizeof(double);
  }
  return static_cast<int64_t>(bytes);
}

absl::StatusOr<ClientResult> ReadResult(const v1::LossResult& result,
                                        const wire::ReceivedPayloads& payloads,
                                        const LossCall& call,
                                        const v1::Outputs& outputs) {
  absl::Status status = FromItem(result.status());
  if (!status.ok()) return status;
  Destinations destinations(result, payloads, outputs);
  status = destinations.Check(call);
  if (!status.ok()) return status;
  destinations.Fill();
  return ResultOf(result);
}

ClientResult ResultOf(const v1::LossResult& result) {
  return {
      .loss = result.loss(),
      .loss_sum = result.loss_sum(),
      .weight_sum = result.weight_sum(),
      .normalizer = result.normalizer(),
      .row_count = result.row_count(),
      .masked_count = result.masked_count(),
      .ignored_count = result.ignored_count(),
      .clipped_count = result.clipped_count(),
      .diagnostics = {result.diagnostics().begin(), result.diagnostics().end()},
      .warnings = {result.warnings().begin(), result.warnings().end()},
      .loss_in_force = result.loss_in_force(),
      .reduction = result.reduction(),
      .semantics = result.semantics()};
}

}  // namespace lossd::client_internal
