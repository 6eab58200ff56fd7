#include "server/item_outputs.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "server/tensor_codec.h"

namespace lossd {
namespace {

constexpr char kGradient[] = "gradient";
constexpr char kRowLosses[] = "row_losses";

absl::Status CheckDtype(v1::Dtype dtype) {
  switch (dtype) {
    case v1::DTYPE_UNSPECIFIED:
    case v1::DTYPE_FLOAT32:
    case v1::DTYPE_FLOAT64:
    case v1::DTYPE_FLOAT16:
    case v1::DTYPE_BFLOAT16:
      return absl::OkStatus();
    default:
      break;
  }
  return InvalidField({"outputs.gradient_dtype", std::nullopt,
                       v1::Dtype_IsValid(dtype)
                           ? std::string(NameOf(static_cast<Dtype>(dtype)))
                           : absl::StrCat(static_cast<int>(dtype)),
                       "FLOAT32, FLOAT64, FLOAT16, BFLOAT16"});
}

// Destinations of what is not wanted, or does not exist, are mistakes.
absl::Status CheckDestinations(const v1::Outputs& wanted,
                               const OutputShapes& shapes, bool row_losses) {
  if (wanted.has_gradient_to() && !wanted.gradient()) {
    return InvalidField({"outputs.gradient_to", std::nullopt, "a destination",
                         "one together with outputs.gradient"});
  }
  if (wanted.has_row_losses_to() && !row_losses) {
    return InvalidField({"outputs.row_losses_to", std::nullopt, "a destination",
                         "one together with outputs.row_losses"});
  }
  for (const auto& [name, ref] : wanted.extra_gradients_to()) {
    if (wanted.gradient() &&
        std::ranges::find(shapes.differentiable, std::string_view(name)) !=
            shapes.differentiable.end()) {
      continue;
    }
    const auto join_name = [](std::string* out, std::string_view each) {
      out->append(each);
    };
    return InvalidField(
        {absl::StrCat("outputs.extra_gradients_to.", name), std::nullopt,
         "a destination",
         absl::StrCat(
             "together with outputs.gradient, for the extra inputs "
             "given that have one: ",
             shapes.differentiable.empty()
                 ? "there are none"
                 : absl::StrJoin(shapes.differentiable, ", ", join_name))});
  }
  return absl::OkStatus();
}

// The field that says where the output of this name goes.
std::string DestinationPath(const std::string& name) {
  return name == kGradient || name == kRowLosses
             ? absl::StrCat("outputs.", name, "_to")
             : absl::StrCat("outputs.extra_gradients_to.", name);
}

size_t Elements(std::span<const int64_t> shape) {
  size_t elements = 1;
  for (const int64_t size : shape) elements *= static_cast<size_t>(size);
  return elements;
}

}  // namespace

absl::Status ItemOutputs::Decode(const v1::Outputs& wanted, const Facts& facts,
                                 const ArenaRegistry* arenas) {
  LOSSD_RETURN_IF_ERROR(CheckDtype(wanted.gradient_dtype()));
  const bool row_losses =
      wanted.row_losses() || facts.reduction == Reduction::kNone;
  LOSSD_RETURN_IF_ERROR(CheckDestinations(wanted, facts.shapes, row_losses));
  diagnostics_ = wanted.diagnostics();
  as_values_ = facts.as_values;
  gradient_dtype_ = wanted.gradient_dtype() == v1::DTYPE_UNSPECIFIED
                        ? facts.predictions.dtype
                        : static_cast<Dtype>(wanted.gradient_dtype());
  if (wanted.gradient()) {
    const auto add = [&](std::string name, const v1::ArenaRef* ref) {
      gradients_.push_back({std::move(name), gradient_dtype_,
                            facts.predictions.shape,
                            Elements(facts.predictions.shape), ref});
    };
    add(kGradient, wanted.has_gradient_to() ? &wanted.gradient_to() : nullptr);
    const auto& destinations = wanted.extra_gradients_to();
    for (const std::string_view each : facts.shapes.differentiable) {
      const std::string name(each);
      const auto to = destinations.find(name);
      add(name, to == destinations.end() ? nullptr : &to->second);
    }
  }
  if (row_losses) {
    row_losses_ = {
        kRowLosses, Dtype::kFloat64, facts.shapes.rows,
        Elements(facts.shapes.rows),
        wanted.has_row_losses_to() ? &wanted.row_losses_to() : nullptr};
    LOSSD_RETURN_IF_ERROR(Find(arenas, &*row_losses_));
  }
  for (Wanted& gradient : gradients_) {
    LOSSD_RETURN_IF_ERROR(Find(arenas, &gradient));
  }
  return absl::OkStatus();
}

absl::Status ItemOutputs::Find(const ArenaRegistry* arenas, Wanted* wanted) {
  if (wanted->ref == nullptr) return absl::OkStatus();
  const std::string path = DestinationPath(wanted->name);
  absl::StatusOr<ArenaRange> range = FindRange(arenas, path, *wanted->ref);
  if (!range.ok()) return range.status();
  wanted->range = *std::move(range);
  if (wanted->range.memory.size() == wanted->bytes()) return absl::OkStatus();
  return InvalidField(
      {absl::StrCat(path, ".length"), std::nullopt,
       absl::StrCat(wanted->range.memory.size(), " bytes"),
       absl::StrCat(wanted->bytes(), " bytes: ", wanted->elements,
                    " elements of ", std::string(NameOf(wanted->dtype)))});
}

size_t ItemOutputs::bytes() const {
  size_t bytes = row_losses_ ? row_losses_->bytes() : 0;
  for (const Wanted& gradient : gradients_) bytes += gradient.bytes();
  return bytes;
}

size_t ItemOutputs::reply_bytes() const {
  const auto in_reply = [this](const Wanted& wanted) -> size_t {
    if (wanted.ref != nullptr) return 0;
    return as_values_ ? wanted.elements * sizeof(double) : wanted.bytes();
  };
  size_t bytes = row_losses_ ? in_reply(*row_losses_) : 0;
  for (const Wanted& gradient : gradients_) bytes += in_reply(gradient);
  return bytes;
}

v1::Tensor* ItemOutputs::TensorOf(const Wanted& wanted,
                                  v1::LossResult* result) {
  if (wanted.name == kRowLosses) return result->mutable_row_losses();
  if (wanted.name == kGradient) return result->mutable_gradient();
  return &(*result->mutable_extra_gradients())[wanted.name];
}

v1::Tensor* ItemOutputs::AddTensor(const Wanted& wanted,
                                   v1::LossResult* result) {
  v1::Tensor* tensor = TensorOf(wanted, result);
  tensor->set_dtype(static_cast<v1::Dtype>(wanted.dtype));
  tensor->mutable_shape()->Add(wanted.shape.begin(), wanted.shape.end());
  if (wanted.ref != nullptr) *tensor->mutable_arena() = *wanted.ref;
  return tensor;
}

std::span<std::byte> ItemOutputs::AllocateOne(ReplyTensors* tensors,
                                              v1::LossResult* result,
                                              Wanted* wanted) const {
  v1::Tensor* tensor = AddTensor(*wanted, result);
  if (wanted->ref != nullptr) return wanted->range.memory;
  if (!as_values_) {
    return tensors->Allocate(wanted->bytes(), tensor->mutable_data());
  }
  wanted->buffer.resize(wanted->bytes());
  return std::as_writable_bytes(std::span(wanted->buffer));
}

Outputs ItemOutputs::Allocate(ReplyTensors* tensors, v1::LossResult* result) {
  Outputs outputs;
  outputs.gradient_dtype = gradient_dtype_;
  outputs.diagnostics = diagnostics_;
  for (Wanted& gradient : gradients_) {
    const std::span<std::byte> memory = AllocateOne(tensors, result, &gradient);
    if (gradient.name == kGradient) {
      outputs.gradient = memory;
    } else {
      extra_outputs_.push_back({gradient.name, memory});
    }
  }
  outputs.extra_gradients = extra_outputs_;
  if (row_losses_) {
    outputs.row_losses = AllocateOne(tensors, result, &*row_losses_);
  }
  return outputs;
}

void ItemOutputs::EncodeValues(v1::LossResult* result) const {
  if (!as_values_) return;
  const auto encode = [result](const Wanted& wanted) {
    if (wanted.ref != nullptr) return;
    EncodeAsValues({wanted.dtype, {}, std::as_bytes(std::span(wanted.buffer))},
                   TensorOf(wanted, result));
  };
  for (const Wanted& gradient : gradients_) encode(gradient);
  if (row_losses_) encode(*row_losses_);
}

StreamOutputs ItemOutputs::stream_outputs() const {
  return {.gradient = !gradients_.empty(),
          .gradient_dtype = gradient_dtype_,
          .row_losses = row_losses_.has_value(),
          .diagnostics = diagnostics_};
}

std::byte* ItemOutputs::Destination(const std::string& name) const {
  if (name == kRowLosses) return row_losses_->range.memory.data();
  return std::ranges::find(gradients_, name, &Wanted::name)
      ->range.memory.data();
}

void ItemOutputs::EncodeDestinations(v1::LossResult* result) const {
  const auto encode = [result](const Wanted& wanted) {
    if (wanted.ref != nullptr) AddTensor(wanted, result);
  };
  for (const Wanted& gradient : gradients_) encode(gradient);
  if (row_losses_) encode(*row_losses_);
}

}  // namespace lossd
