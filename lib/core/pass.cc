#include "lib/core/pass.h"

#include "lib/core/convert.h"

namespace lossd {

FieldViolation ViolationAt(const Problem& problem, size_t row,
                           const Offence& offence) {
  const bool predictions = offence.tensor == Offence::Tensor::kPredictions;
  const RowwiseKernel* rowwise = problem.rowwise();
  const bool label = !predictions && rowwise != nullptr && rowwise->labels;
  const size_t index = label ? row : row * problem.columns + offence.column;
  return {predictions ? "predictions.data" : "targets.data",
          static_cast<int64_t>(index), offence.got, offence.allowed};
}

FieldViolation OverflowAt(const Problem& problem, size_t element) {
  const std::string dtype =
      problem.in_double && problem.gradient_dtype != Dtype::kFloat32
          ? "float64"
          : "float32";
  return {"predictions.data", static_cast<int64_t>(element),
          NumberText(ReadElement(problem.predictions, element)) +
              ", whose loss or gradient overflows " + dtype,
          "numbers whose loss and gradient are finite"};
}

}  // namespace lossd
