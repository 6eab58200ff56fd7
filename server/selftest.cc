#include "server/selftest.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/compute.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

// Results of PyTorch in float64, with the reduction MEAN.
struct Case {
  LossParams params;
  std::vector<int64_t> shape;
  std::vector<double> predictions;
  std::vector<double> targets;
  std::vector<int64_t> labels;
  double loss = 0;
  std::vector<double> gradient;
};

// So often the numbers are repeated, to fill vectors and leave a tail.
constexpr int kCopies = 9;

const std::vector<double> kScores = {2, 1, 0, 0.5, -1.5, 0.25};

template <class Params>
Params OfLogits() {
  Params params;
  params.prediction_kind = PredictionKind::kLogits;
  return params;
}

// One for each loss of the registry, in its order.
const std::vector<Case>& Cases() {
  static const auto* const cases = new std::vector<Case>{
      {MeanSquaredErrorParams{},
       {4},
       {2.5, 0, 2, 8},
       {3, -0.5, 2.25, 7},
       {},
       0.390625,
       {-0.25, 0.25, -0.125, 0.5}},
      {MeanSquaredLogarithmicErrorParams{},
       {4},
       {2.5, 0, 5, 1},
       {3, 0.5, 2, 1},
       {},
       0.16567140015690276,
       {-0.019075913232074644, -0.2027325540540822, 0.0577622650466621, 0}},
      {MeanAbsoluteErrorParams{},
       {4},
       {2.5, 0, 2, 8},
       {3, -0.5, 2.25, 7},
       {},
       0.5625,
       {-0.25, 0.25, -0.25, 0.25}},
      {HuberParams{.delta = 0.5},
       {4},
       {2.5, 0, 2, 8},
       {3, -0.5, 2.25, 7},
       {},
       0.1640625,
       {-0.125, 0.125, -0.0625, 0.125}},
      {OfLogits<BinaryCrossEntropyParams>(),
       {4},
       {1.25, -0.75, 0.5, -2},
       {1, 0, 0.5, 1},
       {},
       0.872451270670838,
       {-0.05567503470632723, 0.08020532520615176, 0.03061483280046365,
        -0.2201992694944706}},
      {HingeParams{},
       {4},
       {0.25, -1.5, 2, -0.5},
       {1, -1, 1, 1},
       {},
       0.5625,
       {-0.25, 0, 0, -0.25}},
      {OfLogits<CategoricalCrossEntropyParams>(),
       {2, 3},
       kScores,
       {0, 0.5, 0.5, 1, 0, 0},
       {},
       1.2784361724867273,
       {0.3326204778874109, -0.12763576447260117, -0.20498471341480978,
        -0.23878554988810224, 0.03535153159138973, 0.20343401829671243}},
      {OfLogits<SparseCategoricalCrossEntropyParams>(),
       {2, 3},
       kScores,
       {},
       {2, 0},
       1.5284361724867273,
       {0.3326204778874109, 0.12236423552739882, -0.4549847134148098,
        -0.23878554988810224, 0.03535153159138973, 0.20343401829671243}},
      {OfLogits<KullbackLeiblerDivergenceParams>(),
       {2, 3},
       kScores,
       {0.25, 0.25, 0.5, 0.5, 0.5, 0},
       {},
       0.7870021967867956,
       {0.2076204778874109, -0.002635764472601179, -0.20498471341480978,
        0.011214450111897756, -0.21464846840861027, 0.20343401829671243}}};
  return *cases;
}

template <class To, class From>
std::vector<To> Repeat(const std::vector<From>& numbers) {
  std::vector<To> copies;
  for (int i = 0; i < kCopies; ++i) {
    for (const From number : numbers) copies.push_back(static_cast<To>(number));
  }
  return copies;
}

absl::Status Compare(const Case& test, const char* what, double got,
                     double expected, double tolerance) {
  if (std::abs(got - expected) <= tolerance) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "self-test of ", std::string(AllLosses::Find(test.params).name), " on ",
      std::string(SimdTarget()), ": ", what, " is ", NumberText(got),
      ", expected ", NumberText(expected)));
}

// All numbers are about 1, so `tolerance` is relative as well as absolute.
template <class T>
absl::Status Run(const Case& test, Dtype dtype, double tolerance) {
  std::vector<int64_t> shape = test.shape;
  shape[0] *= kCopies;
  const std::span<const int64_t> rows(shape.data(), 1);
  const std::vector<T> predictions = Repeat<T>(test.predictions);
  const std::vector<T> targets = Repeat<T>(test.targets);
  const std::vector<int64_t> labels = Repeat<int64_t>(test.labels);
  std::vector<T> gradient(predictions.size());
  Inputs inputs;
  inputs.predictions = {dtype, shape, std::as_bytes(std::span(predictions))};
  inputs.targets =
      labels.empty()
          ? TensorView{dtype, shape, std::as_bytes(std::span(targets))}
          : TensorView{Dtype::kInt64, rows, std::as_bytes(std::span(labels))};
  LossSpec spec;
  spec.params = test.params;
  Outputs outputs;
  outputs.gradient = std::as_writable_bytes(std::span(gradient));
  const absl::StatusOr<LossResult> result = Compute(spec, inputs, outputs, 1);
  if (!result.ok()) {
    return absl::InternalError(
        absl::StrCat("self-test: ", std::string(result.status().message())));
  }
  LOSSD_RETURN_IF_ERROR(
      Compare(test, "the loss", result->loss, test.loss, tolerance));
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double expected = test.gradient[i % test.gradient.size()] / kCopies;
    LOSSD_RETURN_IF_ERROR(Compare(test, "the gradient",
                                  static_cast<double>(gradient[i]), expected,
                                  tolerance));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSelfTest() {
  if (Cases().size() != std::variant_size_v<LossParams>) {
    return absl::InternalError("the self-test does not know every loss");
  }
  for (const Case& test : Cases()) {
    // A few units in the last place of each dtype.
    LOSSD_RETURN_IF_ERROR(Run<float>(test, Dtype::kFloat32, 1e-6));
    LOSSD_RETURN_IF_ERROR(Run<double>(test, Dtype::kFloat64, 1e-14));
  }
  return absl::OkStatus();
}

}  // namespace lossd
