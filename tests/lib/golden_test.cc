// Every case of tests/golden/losses.json, value and gradient, in float64.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using Json = nlohmann::json;

// The numbers of an array of any depth.
void AppendNumbers(const Json& json, std::vector<double>& numbers) {
  if (json.is_number()) {
    numbers.push_back(json.get<double>());
    return;
  }
  for (const Json& element : json) AppendNumbers(element, numbers);
}

std::vector<double> NumbersAt(const Json& object, const char* key) {
  std::vector<double> numbers;
  if (object.contains(key)) AppendNumbers(object.at(key), numbers);
  return numbers;
}

std::vector<int64_t> ShapeOf(const Json& array) {
  std::vector<int64_t> shape;
  for (const Json* axis = &array; axis->is_array(); axis = &axis->at(0)) {
    shape.push_back(static_cast<int64_t>(axis->size()));
  }
  return shape;
}

PredictionKind KindOf(const Json& options) {
  const std::string name = options.at("prediction_kind").get<std::string>();
  if (name == "LOGITS") return PredictionKind::kLogits;
  if (name == "PROBABILITIES") return PredictionKind::kProbabilities;
  if (name == "LOG_PROBABILITIES") return PredictionKind::kLogProbabilities;
  return PredictionKind::kUnspecified;
}

Reduction ReductionOf(const std::string& name) {
  if (name == "SUM") return Reduction::kSum;
  if (name == "WEIGHTED_MEAN") return Reduction::kWeightedMean;
  EXPECT_EQ(name, "MEAN");
  return Reduction::kMean;
}

// Sets the members of `params` that `options` has.
void SetOptions(const Json& options, auto& params) {
  size_t set = 0;
  if constexpr (requires { params.delta; }) {
    params.delta = options.value("delta", params.delta);
    set += options.count("delta");
  }
  if constexpr (requires { params.prediction_kind; }) {
    params.prediction_kind = KindOf(options);
    ++set;
  }
  if constexpr (requires { params.label_smoothing; }) {
    params.label_smoothing =
        options.value("label_smoothing", params.label_smoothing);
    set += options.count("label_smoothing");
  }
  if constexpr (requires { params.pos_weight; }) {
    if (options.contains("pos_weight")) {
      params.pos_weight = options.at("pos_weight").get<double>();
      ++set;
    }
  }
  if constexpr (requires { params.z_loss; }) {
    params.z_loss = options.value("z_loss", params.z_loss);
    set += options.count("z_loss");
  }
  if constexpr (requires { params.ignore_index; }) {
    if (options.contains("ignore_index")) {
      params.ignore_index = options.at("ignore_index").get<int64_t>();
      ++set;
    }
  }
  if constexpr (requires { params.label_encoding; }) {
    EXPECT_EQ(options.at("label_encoding"), "PLUS_MINUS_ONE");
    ++set;
  }
  EXPECT_EQ(set, options.size()) << "options unknown to this test: " << options;
}

// The alternative of `params` whose loss has this name, with default options.
template <size_t index = 0>
LossParams ParamsNamed(const std::string& name) {
  if constexpr (index == AllLosses::kTable.size()) {
    ADD_FAILURE() << "no loss " << name;
    return {};
  } else if (AllLosses::kTable[index].name == name) {
    return LossParams(std::in_place_index<index>);
  } else {
    return ParamsNamed<index + 1>(name);
  }
}

Problem ProblemOf(const Json& golden) {
  Problem problem;
  problem.spec.params = ParamsNamed(golden.at("loss").get<std::string>());
  std::visit([&](auto& params) { SetOptions(golden.at("options"), params); },
             problem.spec.params);
  problem.spec.reduction =
      ReductionOf(golden.at("reduction").get<std::string>());
  problem.shape = ShapeOf(golden.at("predictions"));
  problem.predictions = NumbersAt(golden, "predictions");
  if (std::holds_alternative<SparseCategoricalCrossEntropyParams>(
          problem.spec.params)) {
    problem.labels = golden.at("targets").get<std::vector<int64_t>>();
  } else {
    problem.targets = NumbersAt(golden, "targets");
  }
  problem.sample_weights = NumbersAt(golden, "sample_weights");
  problem.class_weights = NumbersAt(golden, "class_weights");
  return problem;
}

const Json& GoldenCases() {
  static const auto& cases = *[] {
    std::ifstream file("tests/golden/losses.json");
    return new Json(Json::parse(file));
  }();
  return cases;
}

class GoldenTest : public testing::TestWithParam<Json> {};

TEST_P(GoldenTest, LossAndGradientAreTheWorkedOnes) {
  const Json& golden = GetParam();
  const absl::StatusOr<Answer> answer = Solve(ProblemOf(golden));
  ASSERT_THAT(answer, IsOk());
  const auto expect_near = [](double got, double expected) {
    EXPECT_LE(std::abs(got - expected),
              1e-12 * std::max(1.0, std::abs(expected)))
        << got << " instead of " << expected;
  };
  expect_near(answer->result.loss, golden.at("expected_loss").get<double>());
  const std::vector<double> gradient = NumbersAt(golden, "expected_gradient");
  ASSERT_EQ(answer->gradient.size(), gradient.size());
  for (size_t i = 0; i < gradient.size(); ++i) {
    SCOPED_TRACE(i);
    expect_near(answer->gradient[i], gradient[i]);
  }
}

std::string GoldenName(const testing::TestParamInfo<Json>& info) {
  std::string name = info.param.at("id").get<std::string>();
  std::ranges::replace(name, '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenTest,
                         testing::ValuesIn(GoldenCases().begin(),
                                           GoldenCases().end()),
                         GoldenName);

}  // namespace
}  // namespace lossd::test
