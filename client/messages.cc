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

absl::Status CheckSize(const std::string& field, size_t bytes,
                       std::optional<int64_t> elements, size_t element_size,
                       const char* what) {
  if (!elements) return absl::OkStatus();
  if (bytes % element_size == 0 &&
      bytes / element_size == static_cast<size_t>(*elements)) {
    return absl::OkStatus();
  }
  return InvalidField(field, absl::StrCat(bytes, " bytes"),
                      absl::StrCat(*elements, " x ", element_size,
                                   " bytes, one element for each ", what));
}

void SetTensor(const ArrayView& array, v1::Tensor* tensor) {
  tensor->set_dtype(array.dtype);
  tensor->mutable_shape()->Add(array.shape.begin(), array.shape.end());
  // std::string throws on a null pointer with a length; the server's text about
  // missing data is the better answer.
  tensor->set_data(array.data, array.data == nullptr ? 0 : array.bytes);
}

absl::Status CheckReply(const char* field, const v1::Tensor& tensor,
                        v1::Dtype dtype, size_t bytes) {
  if (bytes == 0 ||
      (tensor.dtype() == dtype && tensor.data().size() == bytes)) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("the server's ", field, " has ", tensor.data().size(),
                   " bytes of ", v1::Dtype_Name(tensor.dtype()),
                   ", expected were ", bytes, " of ", v1::Dtype_Name(dtype)));
}

}  // namespace

absl::Status CheckDestinations(const LossCall& call, const LossCall& defaults) {
  const auto& predictions =
      call.predictions ? call.predictions : defaults.predictions;
  if (!predictions) return absl::OkStatus();
  std::span<const int64_t> shape = predictions->shape;
  if (call.gradient.bytes > 0) {
    const v1::Dtype dtype = call.gradient.dtype;
    if (call.gradient.data == nullptr) {
      return InvalidField("gradient.data", "null", "memory for `bytes`");
    }
    if (dtype != v1::DTYPE_FLOAT32 && dtype != v1::DTYPE_FLOAT64) {
      return InvalidField("gradient.dtype", v1::Dtype_Name(dtype),
                          "DTYPE_FLOAT32 or DTYPE_FLOAT64");
    }
    absl::Status status =
        CheckSize("gradient", call.gradient.bytes, Product(shape),
                  dtype == v1::DTYPE_FLOAT32 ? sizeof(float) : sizeof(double),
                  "prediction");
    if (!status.ok()) return status;
  }
  if (call.row_losses.empty()) return absl::OkStatus();
  const bool has_classes = shape.size() > 1;
  return CheckSize("row_losses", call.row_losses.size_bytes(),
                   Product(has_classes ? shape.first(shape.size() - 1) : shape),
                   sizeof(double), "row");
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
  if (call.gradient.bytes > 0) {
    outputs.set_gradient(true);
    outputs.set_gradient_dtype(call.gradient.dtype);
  }
  outputs.set_row_losses(!call.row_losses.empty());
  outputs.set_diagnostics(call.diagnostics || defaults.diagnostics);
  return outputs;
}

absl::StatusOr<ClientResult> ReadResult(const v1::LossResult& result,
                                        const LossCall& call) {
  absl::Status status = FromItem(result.status());
  if (!status.ok()) return status;
  status = CheckReply("gradient", result.gradient(), call.gradient.dtype,
                      call.gradient.bytes);
  if (!status.ok()) return status;
  status = CheckReply("row_losses", result.row_losses(), v1::DTYPE_FLOAT64,
                      call.row_losses.size_bytes());
  if (!status.ok()) return status;
  if (call.gradient.bytes > 0) {
    std::memcpy(call.gradient.data, result.gradient().data().data(),
                call.gradient.bytes);
  }
  if (!call.row_losses.empty()) {
    std::memcpy(call.row_losses.data(), result.row_losses().data().data(),
                call.row_losses.size_bytes());
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
