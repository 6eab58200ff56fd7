// Stored cases of `lossctl verify`, and how near an answer must be.

#ifndef LOSSD_CLIENT_CLI_VERIFY_CASES_H_
#define LOSSD_CLIENT_CLI_VERIFY_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/array_data.h"
#include "client/cli/input_files.h"
#include "lossd/v1/loss_service.pb.h"
#include "lossd/v1/losses.pb.h"

namespace lossd::cli {

// One loss to compute, and what must come out.
struct VerifyCase {
  std::string id;
  v1::Loss loss;
  v1::Reduction reduction = v1::REDUCTION_UNSPECIFIED;
  // predictions, targets and, where there are any, sample_weights.
  InputFiles files;
  double expected_loss = 0;
  int64_t expected_rows = 0;
  // Shape of the predictions.
  Array expected_gradient;
};

// The cases of a file such as tests/data/cases.json: all of them, or those
// marked "quickstart". Paths in it are relative to its folder.
// INVALID_ARGUMENT, naming the file and the case, for what cannot be used.
absl::StatusOr<std::vector<VerifyCase>> ReadCases(const std::string& path,
                                                  bool all);

// Expected values are float64; lossd computes float32 input element-wise in
// float32 and adds in float64. A row's loss is then within 4 ulp, squares of
// logarithms within 8, and an ulp is at most 2^-23 of the value. Losses of
// rows are not negative, so that no sum of them can be relatively worse.
inline constexpr double kLossTolerance = 8.0 / (1 << 23);
// A gradient element is within 6 ulp of the larger of the terms whose
// difference it is, or within 2^-23 of the largest of its row's. With soft
// targets they cancel, so that an element's own size, and even that of its
// row, says nothing; but somewhere in real data one term is nearly all of it:
// there the largest element of the gradient lies.
inline constexpr double kGradientTolerance = 8.0 / (1 << 23);

// |got - expected| in units of |expected|; 0 if they are equal.
double RelativeDifference(double got, double expected);

// The largest |got - expected| of two gradients in units of the largest
// |expected|. 0 if they are equal, infinite if there is a NaN, or if all of
// `expected` is 0 and `got` is not. Requires equal shapes.
double GradientDifference(const Array& got, const Array& expected);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_VERIFY_CASES_H_
