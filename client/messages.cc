#include "client/messages.h"

#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/status.h"

namespace lossd::client_internal {
namespace {

static_assert(std::endian::native == std::endian::little,
              "arrays travel as they lie in memory");

// Unset for shapes that no tensor can have.
std::optional<int64_t> Product(std::span<const int64_t> sizes) {
  int64_t product = 1;
  for (int64_t size : sizes) {
    if (size < 0 || __builtin_mul_overflow(product, size, &product)) return {};
  }
  return product;
}

// 0 for what no gradient has.
size_t SizeOfGradient(v1::Dtype dtype) {
  switch (dtype) {
    case v1::DTYPE_FLOAT16:
    case v1::DTYPE_BFLOAT16:
      return 2;
    case v1::DTYPE_FLOAT32:
      return sizeof(float);
    case v1::DTYPE_FLOAT64:
      return sizeof(double);
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

// The request has one dtype for all gradients.
v1::Dtype GradientDtype(const LossCall& call) {
  return call.gradient.bytes > 0 || call.extra_gradients.empty()
             ? call.gradient.dtype
             : call.extra_gradients.begin()->second.dtype;
}

void SetTensor(const ArrayView& array, v1::Tensor* tensor) {
  tensor->set_dtype(array.dtype);
  tensor->mutable_shape()->Add(array.shape.begin(), array.shape.end());
  // std::string throws on a null pointer with a length; the server's text about
  // missing data is the better answer.
  tensor->set_data(array.data, array.data == nullptr ? 0 : array.bytes);
}

absl::Status CheckReply(const std::string& field, const v1::Tensor& tensor,
                        v1::Dtype dtype, size_t bytes) {
  if (tensor.dtype() == dtype && tensor.data().size() == bytes) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("the server's ", field, " has ", tensor.data().size(),
                   " bytes of ", v1::Dtype_Name(tensor.dtype()),
                   ", expected were ", bytes, " of ", v1::Dtype_Name(dtype)));
}

// What a row is depends on loss, options and semantics: only the reply tells
// how many there are.
absl::Status CheckRowLosses(const v1::Tensor& tensor, size_t bytes) {
  const std::optional<int64_t> rows = Product(
      {tensor.shape().data(), static_cast<size_t>(tensor.shape_size())});
  if (rows &&
      tensor.data().size() / sizeof(double) == static_cast<size_t>(*rows)) {
    absl::Status status =
        CheckSize("row_losses", bytes, *rows, sizeof(double), "row");
    if (!status.ok()) return status;
  }
  return CheckReply("row_losses", tensor, v1::DTYPE_FLOAT64, bytes);
}

absl::Status CheckExtraGradients(const v1::LossResult& result,
                                 const LossCall& call) {
  for (const auto& [name, destination] : call.extra_gradients) {
    const auto gradient = result.extra_gradients().find(name);
    const std::string field = absl::StrCat("extra_gradients.", name);
    if (gradient == result.extra_gradients().end()) {
      return InvalidField(field, "a destination",
                          "extra inputs that are given and differentiable");
    }
    absl::Status status = CheckReply(field, gradient->second, destination.dtype,
                                     destination.bytes);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void Copy(const v1::Tensor& from, void* to) {
  // An empty tensor may have no memory, which memcpy does not take.
  if (from.data().empty()) return;
  std::memcpy(to, from.data().data(), from.data().size());
}

}  // namespace

absl::Status CheckDestinations(const LossCall& call, const LossCall& defaults) {
  const auto& predictions =
      call.predictions ? call.predictions : defaults.predictions;
  const std::optional<int64_t> elements =
      predictions ? Product(predictions->shape) : std::nullopt;
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

v1::LossItem ItemOf(const LossCall& call) {
  v1::LossItem item;
  if (call.loss.kind_case() != v1::Loss::KIND_NOT_SET) {
    *item.mutable_loss() = call.loss;
  }
  if (call.predictions) {
    SetTensor(*call.predictions, item.mutable_predictions());
  }
  if (call.targets) SetTensor(*call.targets, item.mutable_targets());
  if (call.sample_weights) {
    SetTensor(*call.sample_weights, item.mutable_sample_weights());
  }
  if (call.mask) SetTensor(*call.mask, item.mutable_mask());
  if (call.upstream_gradient) {
    SetTensor(*call.upstream_gradient, item.mutable_upstream_gradient());
  }
  for (const auto& [name, array] : call.extra_inputs) {
    SetTensor(array, &(*item.mutable_extra_inputs())[name]);
  }
  item.set_reduction(call.reduction);
  if (call.normalizer) item.set_normalizer(*call.normalizer);
  item.set_semantics(call.semantics);
  return item;
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

absl::StatusOr<ClientResult> ReadResult(const v1::LossResult& result,
                                        const LossCall& call) {
  absl::Status status = FromItem(result.status());
  if (!status.ok()) return status;
  if (call.gradient.bytes > 0) {
    status = CheckReply("gradient", result.gradient(), call.gradient.dtype,
                        call.gradient.bytes);
    if (!status.ok()) return status;
  }
  status = CheckExtraGradients(result, call);
  if (!status.ok()) return status;
  if (!call.row_losses.empty()) {
    status = CheckRowLosses(result.row_losses(), call.row_losses.size_bytes());
    if (!status.ok()) return status;
  }
  if (call.gradient.bytes > 0) Copy(result.gradient(), call.gradient.data);
  for (const auto& [name, destination] : call.extra_gradients) {
    Copy(result.extra_gradients().at(name), destination.data);
  }
  if (!call.row_losses.empty()) {
    Copy(result.row_losses(), call.row_losses.data());
  }
  return ClientResult{
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
