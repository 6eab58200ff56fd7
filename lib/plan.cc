#include "lib/plan.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/convert.h"
#include "lib/core/shape.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

constexpr auto kFloats = {Dtype::kFloat32, Dtype::kFloat64, Dtype::kFloat16,
                          Dtype::kBfloat16};
constexpr auto kNumbers = {Dtype::kFloat32,  Dtype::kFloat64, Dtype::kFloat16,
                           Dtype::kBfloat16, Dtype::kInt32,   Dtype::kInt64,
                           Dtype::kBool};
constexpr auto kLabelDtypes = {Dtype::kInt32, Dtype::kInt64};
constexpr std::string_view kTargetIndices = "target_indices";

absl::Status CheckNormalizer(const LossSpec& spec, Reduction reduction) {
  if (!spec.normalizer) return absl::OkStatus();
  const double normalizer = *spec.normalizer;
  if (reduction != Reduction::kMean) {
    return InvalidField({"normalizer", std::nullopt, NumberText(normalizer),
                         "nothing unless the reduction is MEAN"});
  }
  if (!std::isfinite(normalizer) || normalizer <= 0) {
    return InvalidField(
        {"normalizer", std::nullopt, NumberText(normalizer), "finite and > 0"});
  }
  return absl::OkStatus();
}

absl::Status PlanLoss(const LossSpec& spec, Problem* problem) {
  absl::StatusOr<LossKernel> kernel = KernelOf(spec);
  if (!kernel.ok()) return kernel.status();
  problem->kernel = *std::move(kernel);
  problem->semantics = spec.semantics;
  return absl::OkStatus();
}

// What a row is, and how many there are.
absl::Status PlanRows(const TensorView& predictions, size_t elements,
                      Problem* problem) {
  const std::span<const int64_t> shape = predictions.shape;
  const auto refuse = [&](std::string allowed) {
    return InvalidField({"predictions.shape", std::nullopt, ShapeText(shape),
                         std::move(allowed)});
  };
  std::span<const int64_t> rows;
  switch (problem->traits().layout) {
    case RowLayout::kLastAxis:
      // A vector could be one row of classes or rows of one class: a wrong
      // guess would give a loss of 0 without a word.
      if (problem->rowwise() != nullptr && shape.size() < 2) {
        return refuse("at least two axes, [..., classes]");
      }
      rows = RowShape(shape);
      break;
    case RowLayout::kElements:
      rows = shape;
      break;
    case RowLayout::kFirstAxis:
      rows = shape.first(std::min<size_t>(shape.size(), 1));
      break;
    case RowLayout::kWhole:
      break;
  }
  problem->row_shape.assign(rows.begin(), rows.end());
  problem->rows = 1;
  for (const int64_t size : rows) problem->rows *= static_cast<size_t>(size);
  problem->columns = problem->rows == 0 ? 1 : elements / problem->rows;
  problem->last_axis = std::max<size_t>(ColumnsOf(shape), 1);
  problem->first_axis = shape.empty() ? 1 : static_cast<size_t>(shape[0]);
  if (problem->columns > 0) return absl::OkStatus();
  return refuse("at least one element on the last axis of each row");
}

absl::Status PlanPredictions(const TensorView& predictions, Problem* problem) {
  const auto elements = CheckTensor("predictions", predictions, kFloats);
  if (!elements.ok()) return elements.status();
  problem->predictions = predictions;
  return PlanRows(predictions, *elements, problem);
}

// Whether a tensor that is read while planning is there.
absl::Status CheckWhole(const std::string& field, const TensorView& tensor) {
  if (!tensor.data.is_window()) return absl::OkStatus();
  return InvalidField({field, std::nullopt, "no elements yet",
                       "the whole tensor from the beginning"});
}

// The shape of the rows with another last axis.
std::vector<int64_t> WithLastAxis(const std::vector<int64_t>& rows,
                                  int64_t last) {
  std::vector<int64_t> shape = rows;
  shape.push_back(last);
  return shape;
}

// Targets that are weights of some classes.
absl::Status PlanIndexedTargets(const TensorView& targets,
                                const TensorView& indices, Problem* problem) {
  constexpr char kField[] = "extra_inputs.target_indices";
  const auto elements = CheckTensor(kField, indices, kLabelDtypes);
  if (!elements.ok()) return elements.status();
  const size_t rank = problem->predictions.shape.size();
  const int64_t per_row =
      indices.shape.size() == rank ? indices.shape.back() : 1;
  const std::vector<int64_t> shape = WithLastAxis(problem->row_shape, per_row);
  LOSSD_RETURN_IF_ERROR(
      CheckShape(kField, indices, shape,
                 "the shape of predictions with any size of the last axis"));
  LOSSD_RETURN_IF_ERROR(
      CheckShape("targets", targets, shape, "the shape of target_indices"));
  problem->target_indices = indices;
  problem->targets_per_row = static_cast<size_t>(per_row);
  return absl::OkStatus();
}

const TensorView* FindExtra(std::span<const NamedTensor> extras,
                            std::string_view name) {
  const auto found = std::ranges::find(extras, name, &NamedTensor::name);
  return found == extras.end() ? nullptr : &found->tensor;
}

absl::Status PlanTargets(const Inputs& inputs, Problem* problem) {
  const TensorView& targets = inputs.targets;
  const std::span<const int64_t> shape = problem->predictions.shape;
  const TargetsRole role = problem->traits().targets;
  const bool given = targets.dtype != Dtype::kUnspecified ||
                     !targets.shape.empty() || !targets.data.empty();
  if (role == TargetsRole::kNone) {
    if (!given) return absl::OkStatus();
    return InvalidField({"targets", std::nullopt, "a tensor",
                         "nothing: this loss has no targets"});
  }
  if (!given) {
    return InvalidField({"targets", std::nullopt, "nothing", "a tensor"});
  }
  const bool labels = role == TargetsRole::kLabels;
  const auto elements =
      CheckTensor("targets", targets, labels ? kLabelDtypes : kNumbers);
  if (!elements.ok()) return elements.status();
  problem->targets = targets;
  problem->targets_per_row = role == TargetsRole::kDense ? problem->columns : 1;
  if (labels) {
    return CheckShape("targets", targets, problem->row_shape,
                      "the shape of predictions without the class axis");
  }
  if (role == TargetsRole::kRows) {
    return CheckShape("targets", targets, problem->row_shape,
                      "one for each row of predictions");
  }
  const TensorView* indices =
      problem->traits().tail_policy
          ? FindExtra(inputs.extra_inputs, kTargetIndices)
          : nullptr;
  if (indices != nullptr) {
    return PlanIndexedTargets(targets, *indices, problem);
  }
  return CheckShape("targets", targets, shape, "the shape of predictions");
}

// A tensor with one element a row.
absl::Status CheckRows(std::string_view field, const TensorView& tensor,
                       std::initializer_list<Dtype> dtypes,
                       const Problem& problem) {
  const auto elements = CheckTensor(field, tensor, dtypes);
  if (!elements.ok()) return elements.status();
  return CheckShape(field, tensor, problem.row_shape,
                    "one for each row of predictions");
}

absl::Status PlanUpstream(const TensorView& upstream, Problem* problem) {
  const auto elements = CheckTensor("upstream_gradient", upstream, kFloats);
  if (!elements.ok()) return elements.status();
  const bool single = upstream.shape.empty() ||
                      (upstream.shape.size() == 1 && upstream.shape[0] == 1);
  if (!single && problem->reduction != Reduction::kNone) {
    return InvalidField({"upstream_gradient.shape", std::nullopt,
                         ShapeText(upstream.shape),
                         "[] or [1]: only with the reduction NONE there is a "
                         "loss for each row"});
  }
  if (!single) {
    problem->upstream_rows = upstream;
    return CheckShape("upstream_gradient", upstream, problem->row_shape,
                      "one for each row of predictions, or []");
  }
  LOSSD_RETURN_IF_ERROR(CheckWhole("upstream_gradient", upstream));
  problem->upstream = ReadElement(upstream, 0);
  if (std::isfinite(problem->upstream)) return absl::OkStatus();
  return InvalidField({"upstream_gradient.data", 0,
                       NumberText(problem->upstream), "finite numbers"});
}

std::string AllowedText(const ColumnInput& input) {
  std::string text = input.zero_allowed ? "finite and >= 0" : "finite and > 0";
  if (input.below > 0) text = absl::StrCat("in (0, ", input.below, ")");
  return text;
}

absl::Status PlanColumn(const ColumnInput& input, const TensorView& tensor,
                        const std::string& field, Problem* problem) {
  if (!input.excluded_by.empty()) {
    return InvalidField(
        {field, std::nullopt, "a tensor",
         absl::StrCat("nothing beside ", std::string(input.excluded_by))});
  }
  const auto elements = CheckTensor(field, tensor, kFloats);
  if (!elements.ok()) return elements.status();
  const auto columns = static_cast<int64_t>(problem->last_axis);
  LOSSD_RETURN_IF_ERROR(
      CheckShape(field, tensor, {&columns, 1}, "the last axis of predictions"));
  LOSSD_RETURN_IF_ERROR(CheckWhole(field, tensor));
  bool all_zero = true;
  problem->column.resize(*elements);
  for (size_t k = 0; k < *elements; ++k) {
    const double number = ReadElement(tensor, k);
    const bool zero_ok = input.zero_allowed || number != 0;
    const bool below = input.below == 0 || number < input.below;
    if (!std::isfinite(number) || number < 0 || !zero_ok || !below) {
      return InvalidField({absl::StrCat(field, ".data"),
                           static_cast<int64_t>(k), NumberText(number),
                           AllowedText(input)});
    }
    all_zero &= number == 0;
    problem->in_double |=
        !FitsFloat(number) ||
        (input.exact &&
         static_cast<double>(static_cast<float>(number)) != number);
    problem->column[k] = number;
  }
  if (!all_zero) return absl::OkStatus();
  return InvalidField({absl::StrCat(field, ".data"), std::nullopt, "only 0",
                       "at least one number > 0"});
}

// Names of the extra inputs that the loss knows, for people.
std::string KnownExtras(const LossTraits& traits) {
  std::vector<std::string> names;
  if (traits.column_input) names.emplace_back(traits.column_input->name);
  if (traits.tail_policy) names.emplace_back(kTargetIndices);
  for (const ExtraInput& extra : traits.extras) names.emplace_back(extra.name);
  if (names.empty()) return "no extra inputs for this loss";
  return absl::StrCat("only ", absl::StrJoin(names, ", "));
}

absl::Status PlanExtra(const NamedTensor& extra, Problem* problem) {
  const LossTraits& traits = problem->traits();
  const std::string field =
      absl::StrCat("extra_inputs.", std::string(extra.name));
  const auto twice = [&] {
    return InvalidField({field, std::nullopt, "two tensors", "one"});
  };
  if (traits.tail_policy && extra.name == kTargetIndices) {
    return absl::OkStatus();
  }
  if (traits.column_input && extra.name == traits.column_input->name) {
    if (!problem->column.empty()) return twice();
    return PlanColumn(*traits.column_input, extra.tensor, field, problem);
  }
  const auto known =
      std::ranges::find(traits.extras, extra.name, &ExtraInput::name);
  if (known == traits.extras.end()) {
    return InvalidField({field, std::nullopt, "a tensor", KnownExtras(traits)});
  }
  auto& planned =
      problem->extras[static_cast<size_t>(known - traits.extras.begin())];
  if (planned) return twice();
  planned = extra.tensor;
  problem->in_double |= extra.tensor.dtype == Dtype::kFloat64;
  if (known->shape == ExtraInput::Shape::kRows) {
    return CheckRows(field, extra.tensor, kFloats, *problem);
  }
  const auto elements = CheckTensor(field, extra.tensor, kFloats);
  if (!elements.ok()) return elements.status();
  return CheckShape(field, extra.tensor, problem->predictions.shape,
                    "the shape of predictions");
}

absl::Status PlanExtraInputs(std::span<const NamedTensor> extra_inputs,
                             Problem* problem) {
  for (const NamedTensor& extra : extra_inputs) {
    LOSSD_RETURN_IF_ERROR(PlanExtra(extra, problem));
  }
  const LossTraits& traits = problem->traits();
  std::vector<std::string> alternatives;
  size_t given = 0;
  for (size_t k = 0; k < traits.extras.size(); ++k) {
    const std::string name(traits.extras[k].name);
    if (traits.one_of_extras) {
      alternatives.push_back(absl::StrCat("extra_inputs.", name));
      if (problem->extras[k]) ++given;
    } else if (traits.extras[k].required && !problem->extras[k]) {
      return InvalidField({absl::StrCat("extra_inputs.", name), std::nullopt,
                           "nothing", "a tensor"});
    }
  }
  if (!traits.one_of_extras || given == 1) return absl::OkStatus();
  return InvalidField(
      {"extra_inputs", std::nullopt,
       given == 0 ? "none of them" : "several of them",
       absl::StrCat("exactly one of ", absl::StrJoin(alternatives, " and "))});
}

absl::Status CheckBytes(const std::string& field, size_t bytes,
                        size_t expected) {
  if (bytes == 0 || bytes == expected) return absl::OkStatus();
  return InvalidField({field, std::nullopt, absl::StrCat(bytes, " bytes"),
                       absl::StrCat(expected, " bytes")});
}

absl::Status PlanExtraGradient(const NamedOutput& output, Problem* problem) {
  const auto& extras = problem->traits().extras;
  size_t place = 0;
  for (size_t k = 0; k < extras.size(); ++k) {
    if (!extras[k].differentiable) continue;
    ++place;
    if (extras[k].name != output.name || !problem->extras[k]) continue;
    problem->gradients[place] = {output.data, problem->gradients[0].dtype};
    return absl::OkStatus();
  }
  return InvalidField(
      {absl::StrCat("outputs.extra_gradients.", std::string(output.name)),
       std::nullopt, "memory", "a given extra input that has a gradient"});
}

absl::Status PlanOutputs(const Outputs& outputs, Problem* problem) {
  const Dtype dtype = outputs.gradient_dtype == Dtype::kUnspecified
                          ? problem->predictions.dtype
                          : outputs.gradient_dtype;
  if (std::ranges::find(kFloats, dtype) == kFloats.end()) {
    return InvalidField({"outputs.gradient_dtype", std::nullopt,
                         std::string(NameOf(dtype)),
                         "FLOAT32, FLOAT64, FLOAT16, BFLOAT16"});
  }
  const size_t bytes = problem->rows * problem->columns * SizeOf(dtype);
  LOSSD_RETURN_IF_ERROR(
      CheckBytes("outputs.gradient", outputs.gradient.size(), bytes));
  LOSSD_RETURN_IF_ERROR(CheckBytes("outputs.row_losses",
                                   outputs.row_losses.size(),
                                   problem->rows * sizeof(double)));
  problem->gradients[0] = {outputs.gradient, dtype};
  for (const NamedOutput& extra : outputs.extra_gradients) {
    if (outputs.gradient.empty() && bytes > 0) {
      return InvalidField({"outputs.gradient", std::nullopt, "nothing",
                           "memory, beside that for extra gradients"});
    }
    LOSSD_RETURN_IF_ERROR(CheckBytes(
        absl::StrCat("outputs.extra_gradients.", std::string(extra.name)),
        extra.data.size(), bytes));
    LOSSD_RETURN_IF_ERROR(PlanExtraGradient(extra, problem));
  }
  if (problem->in_place() && dtype != problem->predictions.dtype) {
    return InvalidField({"outputs.gradient_dtype", std::nullopt,
                         std::string(NameOf(dtype)),
                         "that of the predictions, which the gradient is to "
                         "replace"});
  }
  problem->row_losses = {outputs.row_losses, Dtype::kFloat64};
  problem->wants_row_losses = !outputs.row_losses.empty();
  problem->diagnostics = outputs.diagnostics;
  return absl::OkStatus();
}

Reduction DefaultReduction(const LossSpec& spec, const Problem& problem) {
  return spec.semantics == Semantics::kPytorch && !problem.column.empty() &&
                 problem.traits().targets == TargetsRole::kLabels &&
                 !problem.traits().plain_mean
             ? Reduction::kWeightedMean
             : Reduction::kMean;
}

}  // namespace

absl::StatusOr<LossKernel> KernelOf(const LossSpec& spec) {
  LossParams params = spec.params;
  AllLosses::Resolve(spec.semantics, &params);
  LOSSD_RETURN_IF_ERROR(AllLosses::Find(params).validate(params));
  LossKernel kernel = AllLosses::Find(params).kernel(params, spec.semantics);
  if (spec.semantics == Semantics::kPytorch && !kernel.traits.sum_of_elements &&
      std::holds_alternative<ElementwiseKernel>(kernel.engine)) {
    kernel.traits.layout = RowLayout::kElements;
  }
  return kernel;
}

absl::StatusOr<Problem> PlanProblem(const LossSpec& spec, const Inputs& inputs,
                                    const Outputs& outputs) {
  Problem problem;
  LOSSD_RETURN_IF_ERROR(PlanLoss(spec, &problem));
  LOSSD_RETURN_IF_ERROR(PlanPredictions(inputs.predictions, &problem));
  LOSSD_RETURN_IF_ERROR(PlanTargets(inputs, &problem));
  problem.in_double = problem.traits().double_only ||
                      problem.predictions.dtype == Dtype::kFloat64 ||
                      problem.targets.dtype == Dtype::kFloat64;
  LOSSD_RETURN_IF_ERROR(PlanExtraInputs(inputs.extra_inputs, &problem));
  problem.reduction = spec.reduction.value_or(DefaultReduction(spec, problem));
  LOSSD_RETURN_IF_ERROR(CheckNormalizer(spec, problem.reduction));
  problem.normalizer = spec.normalizer;
  if (inputs.sample_weights) {
    LOSSD_RETURN_IF_ERROR(
        CheckRows("sample_weights", *inputs.sample_weights, kFloats, problem));
    problem.sample_weights = inputs.sample_weights;
  }
  if (inputs.mask) {
    LOSSD_RETURN_IF_ERROR(
        CheckRows("mask", *inputs.mask, {Dtype::kBool}, problem));
    problem.mask = inputs.mask;
  }
  if (inputs.upstream_gradient) {
    LOSSD_RETURN_IF_ERROR(PlanUpstream(*inputs.upstream_gradient, &problem));
  }
  LOSSD_RETURN_IF_ERROR(PlanOutputs(outputs, &problem));
  return problem;
}

absl::StatusOr<OutputShapes> ShapesOfOutputs(const LossSpec& spec,
                                             const Inputs& inputs) {
  Problem problem;
  LOSSD_RETURN_IF_ERROR(PlanLoss(spec, &problem));
  LOSSD_RETURN_IF_ERROR(PlanPredictions(inputs.predictions, &problem));
  OutputShapes shapes;
  shapes.rows = std::move(problem.row_shape);
  for (const ExtraInput& extra : problem.traits().extras) {
    if (extra.differentiable &&
        FindExtra(inputs.extra_inputs, extra.name) != nullptr) {
      shapes.differentiable.push_back(extra.name);
    }
  }
  return shapes;
}

}  // namespace lossd
