#include "server/item_codec.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/core/shape.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "lib/plan.h"
#include "server/loss_codec.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

// How the library's violations name options.
constexpr char kOptions[] = "options.";

absl::StatusOr<std::optional<Reduction>> DecodeReduction(
    v1::Reduction reduction) {
  switch (reduction) {
    case v1::REDUCTION_UNSPECIFIED:
      return std::nullopt;
    case v1::REDUCTION_NONE:
      return Reduction::kNone;
    case v1::REDUCTION_SUM:
      return Reduction::kSum;
    case v1::REDUCTION_MEAN:
      return Reduction::kMean;
    case v1::REDUCTION_WEIGHTED_MEAN:
      return Reduction::kWeightedMean;
    case v1::REDUCTION_BATCHMEAN:
      return Reduction::kBatchMean;
    case v1::Reduction_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Reduction_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return NotServed({"reduction", std::nullopt,
                    absl::StrCat(static_cast<int>(reduction)),
                    "NONE, SUM, MEAN, WEIGHTED_MEAN, BATCHMEAN"});
}

v1::Reduction EncodeReduction(Reduction reduction) {
  switch (reduction) {
    case Reduction::kNone:
      return v1::REDUCTION_NONE;
    case Reduction::kSum:
      return v1::REDUCTION_SUM;
    case Reduction::kMean:
      return v1::REDUCTION_MEAN;
    case Reduction::kWeightedMean:
      return v1::REDUCTION_WEIGHTED_MEAN;
    case Reduction::kBatchMean:
      return v1::REDUCTION_BATCHMEAN;
  }
  return v1::REDUCTION_UNSPECIFIED;
}

// EncodeLoss fills in the default of an option that gives way to an extra
// input. When that input is given, the option is not in force.
void ClearReplaced(const std::vector<std::string>& extra_names,
                   Semantics semantics, v1::Loss* loss) {
  if (extra_names.empty()) return;
  const absl::StatusOr<DecodedLoss> filled = DecodeLoss(*loss);
  if (!filled.ok()) return;
  LossSpec spec;
  spec.params = filled->params;
  spec.semantics = semantics;
  const absl::StatusOr<LossKernel> kernel = KernelOf(spec);
  if (!kernel.ok() || !kernel->traits.column_input) return;
  const ColumnInput& column = *kernel->traits.column_input;
  if (std::ranges::find(extra_names, column.name) == extra_names.end()) return;
  const auto& reflection = *loss->GetReflection();
  google::protobuf::Message* typed = reflection.MutableMessage(
      loss, reflection.GetOneofFieldDescriptor(
                *loss, v1::Loss::descriptor()->FindOneofByName("kind")));
  const auto* option = typed->GetDescriptor()->FindFieldByName(std::string(
      absl::StripPrefix(absl::string_view(column.excluded_by.data(),
                                          column.excluded_by.size()),
                        kOptions)));
  if (option != nullptr) typed->GetReflection()->ClearField(typed, option);
}

}  // namespace

absl::Status CheckExtraInputs(const std::string& path, size_t count) {
  if (count <= kMaxExtraInputs) return absl::OkStatus();
  return InvalidField({path, std::nullopt, absl::StrCat(count, " tensors"),
                       absl::StrCat("at most ", kMaxExtraInputs)});
}

absl::Status DecodedItem::Decode(const MergedItem& item,
                                 const ItemContext& context) {
  const v1::Loss& wanted =
      item.loss != nullptr ? *item.loss : v1::Loss::default_instance();
  loss_ = context.losses.Decode(wanted, item.semantics);
  LOSSD_RETURN_IF_ERROR(loss_->status);
  spec_.params = loss_->params;
  spec_.semantics = loss_->semantics;
  const auto reduction = DecodeReduction(item.reduction);
  if (!reduction.ok()) return reduction.status();
  spec_.reduction = *reduction;
  spec_.normalizer = item.normalizer;
  LOSSD_RETURN_IF_ERROR(DecodeTensors(item, context));
  return DecodeOutputs(item, context.sources.arenas);
}

absl::Status DecodedItem::DecodeStreamed(const MergedItem& item,
                                         const TensorSources& sources) {
  streamed_ = true;
  ItemLosses losses;
  return Decode(item, {sources, SharedTensors(), losses});
}

const std::string& DecodedItem::loss_name() const {
  static const std::string unknown;
  return loss_ != nullptr ? loss_->name : unknown;
}

absl::Status DecodedItem::DecodeTensor(std::string path,
                                       const v1::Tensor& tensor,
                                       const ItemContext& context,
                                       TensorView* view) {
  if (const auto* shared = context.shared.Find(tensor)) {
    tensors_.push_back(&shared->tensor);
    *view = shared->tensor.view();
    return shared->status;
  }
  DecodedTensor& decoded = own_tensors_[own_count_++];
  tensors_.push_back(&decoded);
  absl::Status status =
      streamed_
          ? decoded.DecodeStreamed(std::move(path), tensor, context.sources)
          : decoded.Decode(std::move(path), tensor, context.sources);
  *view = decoded.view();
  return status;
}

absl::Status DecodedItem::DecodeTensors(const MergedItem& item,
                                        const ItemContext& context) {
  if (item.predictions == nullptr) {
    return InvalidField({"predictions", std::nullopt, "nothing", "a tensor"});
  }
  LOSSD_RETURN_IF_ERROR(
      CheckExtraInputs("extra_inputs", item.extra_inputs.size()));
  const struct {
    const char* path;
    const v1::Tensor* tensor;
    std::optional<TensorView>* view;
  } optional[] = {
      {"sample_weights", item.sample_weights, &inputs_.sample_weights},
      {"mask", item.mask, &inputs_.mask},
      {"upstream_gradient", item.upstream_gradient, &inputs_.upstream_gradient},
  };
  const auto given = std::ranges::count_if(
      optional, [](const auto& each) { return each.tensor != nullptr; });
  own_tensors_ = std::make_unique<DecodedTensor[]>(
      2 + static_cast<size_t>(given) + item.extra_inputs.size());
  LOSSD_RETURN_IF_ERROR(DecodeTensor("predictions", *item.predictions, context,
                                     &inputs_.predictions));
  // Some losses have none; whether this one does, the library knows.
  if (item.targets != nullptr) {
    LOSSD_RETURN_IF_ERROR(
        DecodeTensor("targets", *item.targets, context, &inputs_.targets));
  }
  for (const auto& [path, tensor, view] : optional) {
    if (tensor == nullptr) continue;
    LOSSD_RETURN_IF_ERROR(
        DecodeTensor(path, *tensor, context, &view->emplace()));
  }
  // The names must not move once a view points to them.
  for (const auto& [name, tensor] : item.extra_inputs) {
    extra_names_.push_back(name);
  }
  for (const std::string& name : extra_names_) {
    NamedTensor& extra = extra_inputs_.emplace_back(NamedTensor{name, {}});
    LOSSD_RETURN_IF_ERROR(DecodeTensor(absl::StrCat("extra_inputs.", name),
                                       *item.extra_inputs.at(name), context,
                                       &extra.tensor));
  }
  inputs_.extra_inputs = extra_inputs_;
  return absl::OkStatus();
}

absl::Status DecodedItem::DecodeOutputs(const MergedItem& item,
                                        const ArenaRegistry* arenas) {
  // The library checks this again, but here the sizes of the outputs depend on
  // it.
  absl::StatusOr<OutputShapes> shapes = ShapesOfOutputs(spec_, inputs_);
  if (!shapes.ok()) return WithProtoPath(shapes.status());
  shapes_ = *std::move(shapes);
  const TensorView& predictions = inputs_.predictions;
  elements_ = predictions.data.size() / SizeOf(predictions.dtype);
  const v1::Tensor::StorageCase storage = item.predictions->storage_case();
  return outputs_.Decode(
      item.outputs != nullptr ? *item.outputs : v1::Outputs::default_instance(),
      {.predictions = predictions,
       .shapes = shapes_,
       .reduction = spec_.reduction.value_or(Reduction::kMean),
       .as_values =
           storage == v1::Tensor::kValues || storage == v1::Tensor::kIntValues},
      arenas);
}

size_t DecodedItem::work_bytes() const {
  size_t bytes = outputs_.bytes();
  for (const DecodedTensor* tensor : tensors_) {
    bytes += tensor->view().data.size();
  }
  return bytes;
}

void DecodedItem::Encode(const LossResult& computed,
                         v1::LossResult* result) const {
  result->mutable_status();
  result->set_loss(computed.loss);
  result->set_loss_sum(computed.loss_sum);
  result->set_weight_sum(computed.weight_sum);
  result->set_normalizer(computed.normalizer);
  result->set_row_count(computed.row_count);
  result->set_masked_count(computed.masked_count);
  result->set_ignored_count(computed.ignored_count);
  result->set_clipped_count(computed.clipped_count);
  for (const std::string& warning : computed.warnings) {
    result->add_warnings(warning);
  }
  *result->mutable_loss_in_force() = loss_->in_force;
  ClearReplaced(extra_names_, spec_.semantics, result->mutable_loss_in_force());
  result->set_reduction(EncodeReduction(computed.reduction));
  result->set_semantics(EncodeSemantics(spec_.semantics));
  for (const Diagnostic& diagnostic : computed.diagnostics) {
    (*result->mutable_diagnostics())[diagnostic.name] = diagnostic.value;
  }
  if (streamed_) {
    outputs_.EncodeDestinations(result);
  } else {
    outputs_.EncodeValues(result);
  }
}

absl::Status DecodedItem::WithProtoPath(const absl::Status& status) const {
  std::optional<FieldViolation> violation = ViolationOf(status);
  if (!violation || !absl::IsInvalidArgument(status)) return status;
  constexpr char kData[] = ".data";
  std::string& field = violation->field;
  if (absl::StartsWith(field, kOptions)) {
    field = absl::StrCat(loss_->options_path, ".",
                         absl::StripPrefix(field, kOptions));
  } else if (absl::EndsWith(field, kData)) {
    const std::string path(absl::StripSuffix(field, kData));
    const auto tensor = std::ranges::find_if(
        tensors_,
        [&](const DecodedTensor* each) { return each->path() == path; });
    if (tensor != tensors_.end()) {
      field = absl::StrCat(path, ".", (*tensor)->storage());
    }
  }
  return InvalidField(*violation);
}

bool IsFinite(const LossResult& computed) {
  return std::isfinite(computed.loss_sum) &&
         (computed.reduction == Reduction::kNone ||
          std::isfinite(computed.loss));
}

}  // namespace lossd
