#include "lib/plan.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "lib/core/convert.h"
#include "lib/core/shape.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

constexpr auto kFloats = {Dtype::kFloat32, Dtype::kFloat64};
constexpr auto kAnyFloats = {Dtype::kFloat32, Dtype::kFloat64, Dtype::kFloat16,
                             Dtype::kBfloat16};
constexpr auto kNumbers = {Dtype::kFloat32, Dtype::kFloat64, Dtype::kInt32,
                           Dtype::kInt64, Dtype::kBool};
constexpr auto kLabelDtypes = {Dtype::kInt32, Dtype::kInt64};

absl::Status CheckSpec(const LossSpec& spec) {
  if (spec.semantics != Semantics::kStrict) {
    return absl::UnimplementedError(
        "semantics: this version computes STRICT only");
  }
  LOSSD_RETURN_IF_ERROR(AllLosses::Find(spec.params).validate(spec.params));
  if (!spec.normalizer) return absl::OkStatus();
  const double normalizer = *spec.normalizer;
  if (spec.reduction != Reduction::kMean) {
    return InvalidField({"normalizer", std::nullopt, NumberText(normalizer),
                         "nothing unless the reduction is MEAN"});
  }
  if (!std::isfinite(normalizer) || normalizer <= 0) {
    return InvalidField(
        {"normalizer", std::nullopt, NumberText(normalizer), "finite and > 0"});
  }
  return absl::OkStatus();
}

absl::Status PlanPredictions(const TensorView& predictions, Problem* problem) {
  const auto elements = CheckTensor("predictions", predictions, kFloats);
  if (!elements.ok()) return elements.status();
  const auto refuse = [&](std::string allowed) {
    return InvalidField({"predictions.shape", std::nullopt,
                         ShapeText(predictions.shape), std::move(allowed)});
  };
  // A vector could be one row of classes or rows of one class: a wrong guess
  // would give a loss of 0 without a word.
  if (problem->rowwise() != nullptr && predictions.shape.size() < 2) {
    return refuse("at least two axes, [..., classes]");
  }
  problem->predictions = predictions;
  problem->columns = ColumnsOf(predictions.shape);
  problem->rows = problem->columns == 0 ? 0 : *elements / problem->columns;
  problem->first_axis =
      predictions.shape.empty() ? 1 : static_cast<size_t>(predictions.shape[0]);
  if (problem->columns > 0) return absl::OkStatus();
  const auto row_shape = RowShape(predictions.shape);
  if (std::find(row_shape.begin(), row_shape.end(), 0) == row_shape.end()) {
    return refuse("at least one element on the last axis of each row");
  }
  problem->columns = 1;
  return absl::OkStatus();
}

absl::Status PlanTargets(const TensorView& targets, Problem* problem) {
  const auto shape = problem->predictions.shape;
  const RowwiseKernel* rowwise = problem->rowwise();
  const bool labels = rowwise != nullptr && rowwise->labels;
  const auto elements =
      CheckTensor("targets", targets, labels ? kLabelDtypes : kNumbers);
  if (!elements.ok()) return elements.status();
  LOSSD_RETURN_IF_ERROR(
      labels
          ? CheckShape("targets", targets, RowShape(shape),
                       "the shape of predictions without the class axis")
          : CheckShape("targets", targets, shape, "the shape of predictions"));
  problem->targets = targets;
  const bool double_only = std::visit(
      [](const auto& kernel) { return kernel.double_only; }, problem->kernel);
  problem->in_double = double_only ||
                       problem->predictions.dtype == Dtype::kFloat64 ||
                       targets.dtype == Dtype::kFloat64;
  return absl::OkStatus();
}

// A tensor with one element a row.
absl::Status CheckRows(std::string_view field, const TensorView& tensor,
                       std::initializer_list<Dtype> dtypes,
                       const Problem& problem) {
  const auto elements = CheckTensor(field, tensor, dtypes);
  if (!elements.ok()) return elements.status();
  return CheckShape(field, tensor, RowShape(problem.predictions.shape),
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
    return CheckShape("upstream_gradient", upstream,
                      RowShape(problem->predictions.shape),
                      "one for each row of predictions, or []");
  }
  problem->upstream = ReadElement(upstream, 0);
  if (std::isfinite(problem->upstream)) return absl::OkStatus();
  return InvalidField({"upstream_gradient.data", 0,
                       NumberText(problem->upstream), "finite numbers"});
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
  const int64_t columns = static_cast<int64_t>(problem->columns);
  LOSSD_RETURN_IF_ERROR(
      CheckShape(field, tensor, {&columns, 1}, "the last axis of predictions"));
  bool all_zero = true;
  problem->column.resize(*elements);
  for (size_t k = 0; k < *elements; ++k) {
    const double number = ReadElement(tensor, k);
    const bool zero_ok = input.zero_allowed || number != 0;
    if (!std::isfinite(number) || number < 0 || !zero_ok) {
      return InvalidField(
          {absl::StrCat(field, ".data"), static_cast<int64_t>(k),
           NumberText(number),
           input.zero_allowed ? "finite and >= 0" : "finite and > 0"});
    }
    all_zero &= number == 0;
    problem->in_double |= !FitsFloat(number);
    problem->column[k] = number;
  }
  if (!all_zero) return absl::OkStatus();
  return InvalidField({absl::StrCat(field, ".data"), std::nullopt, "only 0",
                       "at least one number > 0"});
}

absl::Status PlanExtraInputs(std::span<const NamedTensor> extra_inputs,
                             Problem* problem) {
  const auto& input = std::visit(
      [](const auto& kernel) -> const std::optional<ColumnInput>& {
        return kernel.column_input;
      },
      problem->kernel);
  for (const NamedTensor& extra : extra_inputs) {
    const std::string field =
        absl::StrCat("extra_inputs.", std::string(extra.name));
    if (!input || extra.name != input->name) {
      return InvalidField({field, std::nullopt, "a tensor",
                           input
                               ? absl::StrCat("only ", std::string(input->name))
                               : "no extra inputs for this loss"});
    }
    if (!problem->column.empty()) {
      return InvalidField({field, std::nullopt, "two tensors", "one"});
    }
    LOSSD_RETURN_IF_ERROR(PlanColumn(*input, extra.tensor, field, problem));
  }
  return absl::OkStatus();
}

absl::Status PlanOutputs(const Outputs& outputs, Problem* problem) {
  problem->gradient_dtype = outputs.gradient_dtype == Dtype::kUnspecified
                                ? problem->predictions.dtype
                                : outputs.gradient_dtype;
  if (problem->gradient_dtype != Dtype::kFloat32 &&
      problem->gradient_dtype != Dtype::kFloat64) {
    return InvalidField({"outputs.gradient_dtype", std::nullopt,
                         std::string(NameOf(problem->gradient_dtype)),
                         "FLOAT32, FLOAT64"});
  }
  const auto check = [](const char* field, size_t bytes, size_t expected) {
    if (bytes == 0 || bytes == expected) return absl::OkStatus();
    return InvalidField({field, std::nullopt, absl::StrCat(bytes, " bytes"),
                         absl::StrCat(expected, " bytes")});
  };
  LOSSD_RETURN_IF_ERROR(check(
      "outputs.gradient", outputs.gradient.size(),
      problem->rows * problem->columns * SizeOf(problem->gradient_dtype)));
  LOSSD_RETURN_IF_ERROR(check("outputs.row_losses", outputs.row_losses.size(),
                              problem->rows * sizeof(double)));
  problem->gradient = outputs.gradient;
  if (problem->in_place() &&
      problem->gradient_dtype != problem->predictions.dtype) {
    return InvalidField({"outputs.gradient_dtype", std::nullopt,
                         std::string(NameOf(problem->gradient_dtype)),
                         "that of the predictions, which the gradient is to "
                         "replace"});
  }
  problem->row_losses = outputs.row_losses;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Problem> PlanProblem(const LossSpec& spec, const Inputs& inputs,
                                    const Outputs& outputs) {
  LOSSD_RETURN_IF_ERROR(CheckSpec(spec));
  Problem problem;
  problem.kernel = AllLosses::Find(spec.params).kernel(spec.params);
  problem.reduction = spec.reduction;
  problem.normalizer = spec.normalizer;
  LOSSD_RETURN_IF_ERROR(PlanPredictions(inputs.predictions, &problem));
  LOSSD_RETURN_IF_ERROR(PlanTargets(inputs.targets, &problem));
  if (inputs.sample_weights) {
    LOSSD_RETURN_IF_ERROR(CheckRows("sample_weights", *inputs.sample_weights,
                                    kAnyFloats, problem));
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
  LOSSD_RETURN_IF_ERROR(PlanExtraInputs(inputs.extra_inputs, &problem));
  LOSSD_RETURN_IF_ERROR(PlanOutputs(outputs, &problem));
  return problem;
}

}  // namespace lossd
