#include "lib/core/pass.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "lib/core/convert.h"

namespace lossd {
namespace {

std::string ExtraField(const Problem& problem, size_t extra) {
  return absl::StrCat("extra_inputs.",
                      std::string(problem.traits().extras[extra].name),
                      ".data");
}

}  // namespace

FieldViolation ViolationAt(const Problem& problem, size_t row,
                           const Offence& offence) {
  std::string field = "predictions.data";
  size_t per_row = problem.columns;
  switch (offence.tensor) {
    case Offence::Tensor::kPredictions:
      break;
    case Offence::Tensor::kTargets:
      field = "targets.data";
      per_row = problem.targets_per_row;
      break;
    case Offence::Tensor::kIndices:
      field = "extra_inputs.target_indices.data";
      per_row = problem.targets_per_row;
      break;
    case Offence::Tensor::kExtra:
      field = ExtraField(problem, offence.extra);
      per_row = problem.ExtraPerRow(offence.extra);
      break;
  }
  return {std::move(field),
          static_cast<int64_t>(row * per_row + offence.column), offence.got,
          offence.allowed};
}

FieldViolation OverflowAt(const Problem& problem, size_t element) {
  const Dtype gradient = problem.gradients[0].dtype;
  const bool in_double = problem.in_double && (gradient == Dtype::kFloat64 ||
                                               gradient == Dtype::kUnspecified);
  const std::string dtype =
      in_double                                               ? "float64"
      : gradient == Dtype::kFloat16 && problem.has_gradient() ? "float16"
                                                              : "float32";
  return {"predictions.data", static_cast<int64_t>(element),
          NumberText(ReadElement(problem.predictions, element)) +
              ", whose loss or gradient overflows " + dtype,
          "numbers whose loss and gradient are finite"};
}

std::optional<FieldViolation> UnreadableExtra(const Problem& problem,
                                              size_t extra, size_t element) {
  const double number = ReadElement(*problem.extras[extra], element);
  if (std::isfinite(number)) return std::nullopt;
  return FieldViolation{ExtraField(problem, extra),
                        static_cast<int64_t>(element), NumberText(number),
                        "finite numbers"};
}

}  // namespace lossd
