// Every case of tests/golden/losses.json, value and gradients, in float64.

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
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

Reduction ReductionOf(const std::string& name) {
  if (name == "SUM") return Reduction::kSum;
  if (name == "WEIGHTED_MEAN") return Reduction::kWeightedMean;
  EXPECT_EQ(name, "MEAN");
  return Reduction::kMean;
}

Semantics SemanticsOf(const std::string& name) {
  if (name == "PYTORCH") return Semantics::kPytorch;
  if (name == "KERAS") return Semantics::kKeras;
  EXPECT_EQ(name, "STRICT");
  return Semantics::kStrict;
}

// Sets the options that `json` has, and counts them.
class OptionReader {
 public:
  OptionReader(const Json& json, size_t* count) : json_(json), count_(count) {}

  template <class T>
  void operator()(std::string_view name, T& option, const auto& allowed) const {
    const auto value = json_.find(std::string(name));
    if (value == json_.end()) return;
    ++*count_;
    Read(*value, option, allowed);
  }

 private:
  template <class T>
  static void Read(const Json& value, T& option, const auto&) {
    option = value.get<T>();
  }
  template <class T>
  static void Read(const Json& value, std::optional<T>& option, const auto&) {
    option = value.get<T>();
  }
  // Enums by their names, among the members that the loss allows.
  template <class Option, class Enum, size_t n>
  static void Read(const Json& value, Option& option,
                   const std::array<Enum, n>& allowed) {
    const auto member = std::ranges::find_if(allowed, [&](Enum candidate) {
      return NameOf(candidate) == value.get<std::string>();
    });
    ASSERT_NE(member, allowed.end()) << value;
    option = *member;
  }

  const Json& json_;
  size_t* count_;
};

LossParams ParamsOf(const std::string& name, const Json& options) {
  const auto entry =
      std::ranges::find(AllLosses::kTable, name, &AllLosses::Entry::name);
  if (entry == AllLosses::kTable.end()) {
    ADD_FAILURE() << "no loss " << name;
    return {};
  }
  LossParams params = entry->defaults();
  size_t count = 0;
  std::visit(
      [&](auto& typed) {
        typed.VisitOptions(typed, OptionReader(options, &count));
      },
      params);
  EXPECT_EQ(count, options.size()) << "unknown options in " << options;
  return params;
}

Problem ProblemOf(const Json& golden) {
  Problem problem;
  problem.spec.params =
      ParamsOf(golden.at("loss").get<std::string>(), golden.at("options"));
  problem.spec.semantics = SemanticsOf(golden.value("semantics", "STRICT"));
  problem.spec.reduction =
      ReductionOf(golden.at("reduction").get<std::string>());
  problem.shape = ShapeOf(golden.at("predictions"));
  problem.predictions = NumbersAt(golden, "predictions");
  if (problem.traits().targets == TargetsRole::kLabels) {
    problem.labels = golden.at("targets").get<std::vector<int64_t>>();
  } else {
    problem.targets = NumbersAt(golden, "targets");
  }
  for (const double index : NumbersAt(golden, "target_indices")) {
    problem.target_indices.push_back(static_cast<int64_t>(index));
  }
  problem.sample_weights = NumbersAt(golden, "sample_weights");
  problem.class_weights = NumbersAt(golden, "class_weights");
  const Json extras = golden.value("extra_inputs", Json::object());
  for (const auto& [name, numbers] : extras.items()) {
    problem.extras.push_back({name, {}});
    AppendNumbers(numbers, problem.extras.back().numbers);
  }
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

void ExpectNear(double got, double expected) {
  EXPECT_LE(std::abs(got - expected), 1e-12 * std::max(1.0, std::abs(expected)))
      << got << " instead of " << expected;
}

void ExpectGradient(const std::vector<double>& got, const Json& expected) {
  std::vector<double> numbers;
  AppendNumbers(expected, numbers);
  ASSERT_EQ(got.size(), numbers.size());
  for (size_t i = 0; i < got.size(); ++i) {
    SCOPED_TRACE(i);
    ExpectNear(got[i], numbers[i]);
  }
}

TEST_P(GoldenTest, LossAndGradientAreTheWorkedOnes) {
  const Json& golden = GetParam();
  const absl::StatusOr<Answer> answer = Solve(ProblemOf(golden));
  ASSERT_THAT(answer, IsOk());
  ExpectNear(answer->result.loss, golden.at("expected_loss").get<double>());
  const Json extras = golden.value("expected_extra_gradients", Json::object());
  ASSERT_TRUE(golden.contains("expected_gradient") || !extras.empty());
  if (golden.contains("expected_gradient")) {
    ExpectGradient(answer->gradient, golden.at("expected_gradient"));
  }
  for (const auto& [name, expected] : extras.items()) {
    ASSERT_TRUE(answer->extra_gradients.contains(name)) << name;
    ExpectGradient(answer->extra_gradients.at(name), expected);
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
