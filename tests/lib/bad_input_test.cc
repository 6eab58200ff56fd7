// Every input that the library refuses: which field, which element, what was
// given, what is allowed.

#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lib/core/violation.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Shape = std::vector<int64_t>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr auto kLogits = PredictionKind::kLogits;
constexpr auto kProbabilities = PredictionKind::kProbabilities;
constexpr auto kLogProbabilities = PredictionKind::kLogProbabilities;

constexpr MeanSquaredErrorParams kMse{};
constexpr BinaryCrossEntropyParams kBce{.prediction_kind = kLogits};
constexpr CategoricalCrossEntropyParams kCce{.prediction_kind = kLogits};
constexpr SparseCategoricalCrossEntropyParams kScce{.prediction_kind = kLogits};
constexpr KullbackLeiblerDivergenceParams kKld{.prediction_kind = kLogits};

Problem Elements(LossParams params, std::vector<double> predictions,
                 std::vector<double> targets) {
  Problem problem;
  problem.spec.params = params;
  problem.shape = {static_cast<int64_t>(predictions.size())};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  return problem;
}

Problem TwoRows(LossParams params) {
  Problem problem =
      Elements(params, {1, 2, 0.5, 0.1, -1.2, 3}, {0, 1, 0, 0.25, 0.25, 0.5});
  problem.shape = {2, 3};
  return problem;
}

Problem TwoLabels(SparseCategoricalCrossEntropyParams params,
                  std::vector<int64_t> labels) {
  Problem problem = TwoRows(params);
  problem.targets.clear();
  problem.labels = std::move(labels);
  return problem;
}

Problem OneRow(LossParams params, std::vector<double> predictions,
               std::vector<double> targets) {
  Problem problem =
      Elements(params, std::move(predictions), std::move(targets));
  problem.shape.insert(problem.shape.begin(), 1);
  return problem;
}

// Problems in numbers that are refused.

struct BadProblem {
  std::string name;
  Problem problem;
  // Field, and element if one is to blame.
  std::string field;
  // What the message must also say.
  std::string text;
  Form form = {};
};

std::vector<BadProblem> BadElements() {
  std::vector<BadProblem> all;
  const auto add_as = [&](std::string name, Problem problem, std::string field,
                          std::string text, Form form) {
    all.push_back({std::move(name), std::move(problem), std::move(field),
                   std::move(text), form});
  };
  const auto add = [&](const std::string& name, const Problem& problem,
                       const std::string& field, const std::string& text) {
    add_as(name + "_float32", problem, field, text, {.dtype = Dtype::kFloat32});
    add_as(name + "_float64", problem, field, text, {.dtype = Dtype::kFloat64});
  };
  add("nan_prediction", Elements(kMse, {1, kNan, kNan}, {1, 2, 3}),
      "predictions.data[1]", "nan");
  add("infinite_prediction", Elements(kMse, {1, 2, -kInfinity}, {1, 2, 3}),
      "predictions.data[2]", "-inf");
  add("nan_target", Elements(kMse, {1, 2, 3}, {kNan, 2, 3}), "targets.data[0]",
      "nan");
  add("infinite_target", Elements(kMse, {1, 2, 3}, {1, kInfinity, 3}),
      "targets.data[1]", "inf");
  for (const LossParams& params :
       {LossParams(MeanAbsoluteErrorParams{}), LossParams(HuberParams{}),
        LossParams(MeanSquaredLogarithmicErrorParams{}), LossParams(kBce)}) {
    const std::string name(AllLosses::Find(params).name);
    add(name + "_nan_prediction", Elements(params, {0.5, kNan}, {1, 1}),
        "predictions.data[1]", "nan");
    add(name + "_infinite_prediction", Elements(params, {kInfinity, 1}, {1, 1}),
        "predictions.data[0]", "inf");
    add(name + "_nan_target", Elements(params, {0.5, 1}, {1, kNan}),
        "targets.data[1]", "nan");
    add(name + "_infinite_target", Elements(params, {0.5, 1}, {1, kInfinity}),
        "targets.data[1]", "inf");
  }
  add("hinge_infinite_prediction",
      Elements(HingeParams{}, {0, -kInfinity}, {1, -1}), "predictions.data[1]",
      "inf");
  // +inf times +1 is a loss of 0, and refused all the same.
  add("hinge_infinite_and_right",
      Elements(HingeParams{}, {kInfinity, 0}, {1, -1}), "predictions.data[0]",
      "inf");
  add("msle_prediction_at_pole",
      Elements(MeanSquaredLogarithmicErrorParams{}, {0, -1}, {0, 0}),
      "predictions.data[1]", "-1");
  add("msle_prediction_below_pole",
      Elements(MeanSquaredLogarithmicErrorParams{}, {-2.5, 0}, {0, 0}),
      "predictions.data[0]", "-2.5");
  add("msle_target_at_pole",
      Elements(MeanSquaredLogarithmicErrorParams{}, {0, 0}, {0, -1}),
      "targets.data[1]", "-1");
  add("bce_target_above_one", Elements(kBce, {5, 5}, {1, 2}), "targets.data[1]",
      "2");
  add("bce_target_below_zero", Elements(kBce, {5, 5}, {-1, 1}),
      "targets.data[0]", "-1");
  const BinaryCrossEntropyParams probabilities{.prediction_kind =
                                                   kProbabilities};
  add("bce_probability_above_one", Elements(probabilities, {0.5, 1.5}, {1, 1}),
      "predictions.data[1]", "1.5");
  add("bce_probability_below_zero",
      Elements(probabilities, {-0.5, 0.5}, {1, 1}), "predictions.data[0]",
      "-0.5");
  add("bce_infinite_loss_at_zero", Elements(probabilities, {0.5, 0}, {1, 1}),
      "predictions.data[1]", "");
  add("bce_infinite_loss_at_one", Elements(probabilities, {1, 0.5}, {0.5, 1}),
      "predictions.data[0]", "");
  add("hinge_label_zero", Elements(HingeParams{}, {1, 1}, {1, 0}),
      "targets.data[1]", "0");
  add("hinge_soft_label", Elements(HingeParams{}, {1, 1}, {0.5, 1}),
      "targets.data[0]", "0.5");
  add("hinge_minus_one_as_zero_one",
      Elements(HingeParams{.label_encoding = LabelEncoding::kZeroOne}, {1, 1},
               {1, -1}),
      "targets.data[1]", "-1");
  // Targets that the arithmetic would round.
  const double odd_float = 16777217;
  const double above_double = 9007199254740994.0;
  const CategoricalCrossEntropyParams cce{.prediction_kind = kLogits};
  for (const Dtype integers : {Dtype::kInt32, Dtype::kInt64}) {
    add_as("integer_beyond_float32_" + std::string(NameOf(integers)),
           Elements(kMse, {1, 1}, {3, odd_float}), "targets.data[1]",
           "16777217", {.dtype = Dtype::kFloat32, .target_dtype = integers});
  }
  add_as("integer_beyond_float64", Elements(kMse, {1, 1}, {above_double, 3}),
         "targets.data[0]", "", {.target_dtype = Dtype::kInt64});
  add_as("bool_byte", Elements(kBce, {1, 1}, {1, 2}), "targets.data[1]", "",
         {.target_dtype = Dtype::kBool});
  add_as("bool_byte_row_wise", OneRow(cce, {1, 1}, {2, 0}), "targets.data[0]",
         "", {.target_dtype = Dtype::kBool});
  // Overflow in the arithmetic of the dtype, though all inputs are finite.
  const Form narrow{.dtype = Dtype::kFloat32};
  add_as("square_overflows_float", Elements(kMse, {1, 1e30}, {1, 0}),
         "predictions.data[1]", "", narrow);
  add_as("difference_overflows_float",
         Elements(MeanAbsoluteErrorParams{}, {3e38}, {-3e38}),
         "predictions.data[0]", "", narrow);
  add_as("square_overflows_double", Elements(kMse, {1, 1e200}, {1, 0}),
         "predictions.data[1]", "", {});
  add_as("huber_overflows_double",
         Elements(HuberParams{.delta = 1e300}, {1e200}, {0}),
         "predictions.data[0]", "", {});
  return all;
}

std::vector<BadProblem> BadRows() {
  std::vector<BadProblem> all;
  const auto add = [&](std::string name, Problem problem, std::string field,
                       std::string text = "") {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
      all.push_back(
          {name + (dtype == Dtype::kFloat32 ? "_float32" : "_float64"),
           problem,
           field,
           text,
           {.dtype = dtype}});
    }
  };
  add("label_one_based", TwoLabels(kScce, {1, 3}), "targets.data[1]",
      "0-based");
  add("label_says_classes", TwoLabels(kScce, {3, 0}), "targets.data[0]", "3");
  add("label_negative", TwoLabels(kScce, {0, -1}), "targets.data[1]", "-1");
  add("label_minus_100_by_default", TwoLabels(kScce, {-100, 0}),
      "targets.data[0]", "-100");
  add("label_huge", TwoLabels(kScce, {0, int64_t{1} << 40}), "targets.data[1]",
      "1099511627776");
  const SparseCategoricalCrossEntropyParams ignoring{.prediction_kind = kLogits,
                                                     .ignore_index = -100};
  add("label_beside_ignore_index", TwoLabels(ignoring, {-100, -99}),
      "targets.data[1]", "-99");
  for (const LossParams& params : {LossParams(kCce), LossParams(kKld)}) {
    const std::string name(AllLosses::Find(params).name);
    add(name + "_nan_logit", OneRow(params, {1, kNan, 0}, {1, 0, 0}),
        "predictions.data[1]", "nan");
    add(name + "_infinite_logit", OneRow(params, {1, 0, kInfinity}, {1, 0, 0}),
        "predictions.data[2]", "inf");
    add(name + "_all_impossible",
        OneRow(params, {-kInfinity, -kInfinity, -kInfinity}, {0, 0, 0}),
        "predictions.data[0]", "-inf");
    add(name + "_mass_on_impossible_logit",
        OneRow(params, {1, 0, -kInfinity}, {0.5, 0, 0.5}),
        "predictions.data[2]", "-inf");
    add(name + "_nan_target", OneRow(params, {1, 2, 3}, {0, kNan, 1}),
        "targets.data[1]", "nan");
    add(name + "_infinite_target", OneRow(params, {1, 2, 3}, {kInfinity, 0, 1}),
        "targets.data[0]", "inf");
    add(name + "_negative_target", OneRow(params, {1, 2, 3}, {0, -0.5, 1}),
        "targets.data[1]", "-0.5");
  }
  add("cce_target_above_one", OneRow(kCce, {1, 2, 3}, {0, 0, 1.5}),
      "targets.data[2]", "1.5");
  add(
      "scce_impossible_label",
      [] {
        Problem problem = TwoLabels(kScce, {0, 2});
        problem.predictions[5] = -kInfinity;
        return problem;
      }(),
      "predictions.data[5]", "-inf");
  add(
      "scce_nan_logit",
      [] {
        Problem problem = TwoLabels(kScce, {0, 2});
        problem.predictions[4] = kNan;
        return problem;
      }(),
      "predictions.data[4]", "nan");

  const CategoricalCrossEntropyParams cce{.prediction_kind = kProbabilities};
  const KullbackLeiblerDivergenceParams kld{.prediction_kind = kProbabilities};
  for (const LossParams& params : {LossParams(cce), LossParams(kld)}) {
    const std::string name(AllLosses::Find(params).name);
    add(name + "_probability_above_one", OneRow(params, {0, 1.5, 0}, {0, 1, 0}),
        "predictions.data[1]", "1.5");
    add(name + "_probability_below_zero",
        OneRow(params, {0.5, 0.75, -0.25}, {1, 0, 0}), "predictions.data[2]",
        "-0.25");
    add(name + "_probability_nan", OneRow(params, {0.5, 0.5, kNan}, {1, 0, 0}),
        "predictions.data[2]", "nan");
    add(name + "_probabilities_do_not_add_up",
        OneRow(params, {0.5, 0.25, 0.2}, {1, 0, 0}), "predictions.data[0]",
        "0.95");
    add(name + "_mass_on_zero_probability",
        OneRow(params, {0.5, 0.5, 0}, {0.5, 0, 0.5}), "predictions.data[2]",
        "");
  }
  const CategoricalCrossEntropyParams logarithms{.prediction_kind =
                                                     kLogProbabilities};
  add("cce_mass_on_impossible_logarithm",
      OneRow(logarithms, {0, -kInfinity}, {0, 1}), "predictions.data[1]",
      "-inf");
  add("cce_nan_logarithm", OneRow(logarithms, {0, kNan}, {1, 0}),
      "predictions.data[1]", "nan");
  add("kld_mass_on_impossible_logarithm",
      OneRow(
          KullbackLeiblerDivergenceParams{.prediction_kind = kLogProbabilities},
          {0, -kInfinity}, {0, 1}),
      "predictions.data[1]", "-inf");
  add("kld_positive_log_target",
      OneRow(KullbackLeiblerDivergenceParams{.prediction_kind = kLogits,
                                             .target_kind =
                                                 TargetKind::kLogProbabilities},
             {0, 1}, {0.5, -1}),
      "targets.data[0]", "0.5");
  return all;
}

std::vector<BadProblem> BadOptionalInputs() {
  std::vector<BadProblem> all;
  const auto add = [&](std::string name, LossParams params, std::string field,
                       std::string text,
                       const std::function<void(Problem&)>& spoil) {
    Problem problem = TwoRows(params);
    spoil(problem);
    all.push_back({std::move(name), std::move(problem), std::move(field),
                   std::move(text)});
  };
  add("weight_nan", kMse, "sample_weights.data[1]", "nan", [](Problem& p) {
    p.sample_weights = {1, kNan};
  });
  add("weight_infinite", kMse, "sample_weights.data[0]", "inf", [](Problem& p) {
    p.sample_weights = {kInfinity, 1};
  });
  add("weight_nan_row_wise", kCce, "sample_weights.data[1]", "nan",
      [](Problem& p) {
        p.sample_weights = {1, kNan};
      });
  add("weight_negative_as_divisor", kMse, "sample_weights.data[1]", "-0.5",
      [](Problem& p) {
        p.sample_weights = {1, -0.5};
        p.spec.reduction = Reduction::kWeightedMean;
      });
  add("weight_infinite_and_sum", kMse, "sample_weights.data[1]", "inf",
      [](Problem& p) {
        p.sample_weights = {1, -kInfinity};
        p.spec.reduction = Reduction::kSum;
      });
  add("mask_byte", kMse, "mask.data[1]", "2", [](Problem& p) {
    p.mask = {1, 2};
  });
  add("mask_byte_row_wise", kCce, "mask.data[0]", "255", [](Problem& p) {
    p.mask = {255, 1};
  });
  add("upstream_nan", kMse, "upstream_gradient.data[0]", "nan",
      [](Problem& p) { p.upstream_gradient = {kNan}; });
  add("upstream_infinite_in_a_row", kMse, "upstream_gradient.data[1]", "inf",
      [](Problem& p) {
        p.upstream_gradient = {1, kInfinity};
        p.spec.reduction = Reduction::kNone;
      });
  add("upstream_vector_of_mean", kMse, "upstream_gradient.shape", "[2]",
      [](Problem& p) {
        p.upstream_gradient = {1, 1};
      });
  for (const double normalizer : {0.0, -1.0, kNan, kInfinity}) {
    add("normalizer_" + std::to_string(all.size()), kMse, "normalizer",
        NumberText(normalizer),
        [=](Problem& p) { p.spec.normalizer = normalizer; });
  }
  for (const Reduction reduction :
       {Reduction::kNone, Reduction::kSum, Reduction::kWeightedMean,
        Reduction::kBatchMean}) {
    add("normalizer_of_another_reduction_" + std::to_string(all.size()), kMse,
        "normalizer", "MEAN", [=](Problem& p) {
          p.spec.normalizer = 2;
          p.spec.reduction = reduction;
        });
  }
  add("class_weights_unknown", kMse, "extra_inputs.class_weights", "",
      [](Problem& p) {
        p.class_weights = {1, 1, 1};
      });
  add("class_weights_of_divergence", kKld, "extra_inputs.class_weights", "",
      [](Problem& p) {
        p.class_weights = {1, 1, 1};
      });
  add("pos_weight_unknown", kCce, "extra_inputs.pos_weight", "",
      [](Problem& p) {
        p.pos_weight = {1, 1, 1};
      });
  add("class_weights_length", kCce, "extra_inputs.class_weights.shape", "[2]",
      [](Problem& p) {
        p.class_weights = {1, 1};
      });
  add("class_weights_negative", kCce, "extra_inputs.class_weights.data[1]",
      "-1", [](Problem& p) {
        p.class_weights = {1, -1, 1};
      });
  add("class_weights_nan", kCce, "extra_inputs.class_weights.data[2]", "nan",
      [](Problem& p) {
        p.class_weights = {1, 1, kNan};
      });
  add("class_weights_all_zero", kCce, "extra_inputs.class_weights.data", "",
      [](Problem& p) {
        p.class_weights = {0, 0, 0};
      });
  add("pos_weight_length", kBce, "extra_inputs.pos_weight.shape", "[2]",
      [](Problem& p) {
        p.pos_weight = {1, 1};
      });
  add("pos_weight_zero", kBce, "extra_inputs.pos_weight.data[0]", "0",
      [](Problem& p) {
        p.pos_weight = {0, 1, 1};
      });
  add("pos_weight_infinite", kBce, "extra_inputs.pos_weight.data[1]", "inf",
      [](Problem& p) {
        p.pos_weight = {1, kInfinity, 1};
      });
  const BinaryCrossEntropyParams both{.prediction_kind = kLogits,
                                      .pos_weight = 2};
  add("pos_weight_twice", both, "extra_inputs.pos_weight", "pos_weight",
      [](Problem& p) {
        p.pos_weight = {1, 1, 1};
      });
  return all;
}

class BadProblemTest : public testing::TestWithParam<BadProblem> {};

TEST_P(BadProblemTest, IsRefused) {
  const auto& [name, problem, field, text, form] = GetParam();
  for (const bool gradient : {false, true}) {
    Form wanted = form;
    wanted.gradient = gradient;
    wanted.row_losses = gradient;
    const absl::StatusOr<Answer> answer = Solve(problem, wanted);
    EXPECT_THAT(answer, Violates(field));
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr(text));
  }
}

std::string BadName(const testing::TestParamInfo<BadProblem>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Elements, BadProblemTest,
                         testing::ValuesIn(BadElements()), BadName);
INSTANTIATE_TEST_SUITE_P(Rows, BadProblemTest, testing::ValuesIn(BadRows()),
                         BadName);
INSTANTIATE_TEST_SUITE_P(OptionalInputs, BadProblemTest,
                         testing::ValuesIn(BadOptionalInputs()), BadName);

// The first of several elements, whichever block and thread finds it.

class FirstOffenceTest : public testing::TestWithParam<LossCase> {};

TEST_P(FirstOffenceTest, IsNamedWhateverTheThreads) {
  // Large enough for a team of threads.
  const std::vector<Shape> shapes =
      IsRowwise(GetParam()) ? std::vector<Shape>{{1000, 37}, {3, 12001}}
                            : std::vector<Shape>{{40000}, {1000, 37}};
  for (const Shape& shape : shapes) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
      const Problem good = Sample(GetParam(), shape, dtype);
      const size_t elements = good.predictions.size();
      for (const size_t first :
           {size_t{0}, elements / 3, elements / 2 + 1, elements - 1}) {
        Problem bad = good;
        // Nothing is ignored, so that the offences are no secret.
        for (int64_t& label : bad.labels) label = std::max<int64_t>(label, 0);
        for (const size_t offence :
             {first, (first + elements) / 2, elements - 1}) {
          bad.predictions[offence] = kNan;
        }
        for (const int threads : {1, 3}) {
          EXPECT_THAT(
              Solve(bad, {.dtype = dtype, .threads = threads}),
              Violates("predictions.data[" + std::to_string(first) + "]"));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, FirstOffenceTest,
                         testing::ValuesIn(LossCases()), CaseName);

TEST(ZeroWeightTest, IsNoMask) {
  Problem problem = Elements(kMse, {1, kNan}, {1, 2});
  problem.sample_weights = {1, 0};
  EXPECT_THAT(Solve(problem), Violates("predictions.data[1]"));
}

// Tensors that do not fit together.

class BadTensorTest : public testing::Test {
 protected:
  // A good call, to be spoilt.
  TestCall mse_{TwoRows(kMse), {}};
  TestCall cce_{TwoRows(kCce), {}};
  TestCall scce_{TwoLabels(kScce, {0, 1}), {}};
};

TEST_F(BadTensorTest, UnspoiltCallsAreFine) {
  EXPECT_THAT(mse_.Run(), IsOk());
  EXPECT_THAT(cce_.Run(), IsOk());
  EXPECT_THAT(scce_.Run(), IsOk());
}

TEST_F(BadTensorTest, TargetsShapedUnlikePredictionsShowBothShapes) {
  TestCall call(Elements(kMse, {1, 2}, {1, 2}), {});
  const Shape column = {2, 1};
  call.inputs.predictions.shape = column;
  const absl::StatusOr<Answer> answer = call.Run();
  EXPECT_THAT(answer, Violates("targets.shape"));
  EXPECT_THAT(answer, StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr("[2]"), HasSubstr("[2, 1]"))));
}

TEST_F(BadTensorTest, NegativeSize) {
  const Shape shape = {-2, 3};
  mse_.inputs.predictions.shape = shape;
  EXPECT_THAT(mse_.Run(), Violates("predictions.shape"));
}

TEST_F(BadTensorTest, SizesWhoseProductOverflows) {
  for (const Shape& shape :
       {Shape{int64_t{1} << 40, int64_t{1} << 40},
        Shape{int64_t{1} << 32, int64_t{1} << 32, 0, int64_t{1} << 62},
        Shape{int64_t{1} << 62, 1}}) {
    mse_.inputs.predictions.shape = shape;
    mse_.inputs.targets.shape = shape;
    EXPECT_THAT(mse_.Run(), Violates("predictions.shape"));
  }
}

TEST_F(BadTensorTest, TooManyAxes) {
  const Shape shape = {1, 1, 1, 1, 1, 1, 1, 2, 3};
  mse_.inputs.predictions.shape = shape;
  mse_.inputs.targets.shape = shape;
  EXPECT_THAT(mse_.Run(), Violates("predictions.shape"));
}

TEST_F(BadTensorTest, ClassesNeedAnAxis) {
  const Shape shape = {6};
  cce_.inputs.predictions.shape = shape;
  cce_.inputs.targets.shape = shape;
  const absl::StatusOr<Answer> answer = cce_.Run();
  EXPECT_THAT(answer, Violates("predictions.shape"));
  EXPECT_THAT(answer, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("classes")));
}

TEST_F(BadTensorTest, RowsWithoutElements) {
  for (TestCall* call : {&mse_, &cce_}) {
    const Shape shape = {2, 0};
    call->inputs.predictions = {Dtype::kFloat64, shape, {}};
    call->inputs.targets = call->inputs.predictions;
    call->outputs = {};
    EXPECT_THAT(call->Run(), Violates("predictions.shape"));
    // No rows are no mistake.
    const Shape nothing = {0, 0};
    call->inputs.predictions.shape = nothing;
    call->inputs.targets.shape = nothing;
    EXPECT_THAT(call->Run(), IsOk());
  }
}

TEST_F(BadTensorTest, DataTooShortOrTooLong) {
  mse_.inputs.predictions.data =
      std::span(mse_.inputs.predictions.data.data(), 47);
  EXPECT_THAT(mse_.Run(), Violates("predictions.data"));
  const Shape shape = {2, 1};
  cce_.inputs.targets.shape = shape;
  EXPECT_THAT(cce_.Run(), testing::AnyOf(Violates("targets.data"),
                                         Violates("targets.shape")));
  scce_.inputs.targets.data = {};
  EXPECT_THAT(scce_.Run(), Violates("targets.data"));
}

TEST_F(BadTensorTest, DtypeMissing) {
  mse_.inputs.predictions.dtype = Dtype::kUnspecified;
  EXPECT_THAT(mse_.Run(), Violates("predictions.dtype"));
  cce_.inputs.targets.dtype = Dtype::kUnspecified;
  EXPECT_THAT(cce_.Run(), Violates("targets.dtype"));
}

TEST_F(BadTensorTest, DtypeUnknown) {
  mse_.inputs.predictions.dtype = static_cast<Dtype>(99);
  EXPECT_THAT(mse_.Run(), Violates("predictions.dtype"));
}

TEST_F(BadTensorTest, IntegerPredictions) {
  for (const Dtype dtype : {Dtype::kInt64, Dtype::kInt32, Dtype::kBool}) {
    mse_.inputs.predictions.dtype = dtype;
    EXPECT_THAT(mse_.Run(), Violates("predictions.dtype"));
  }
}

TEST_F(BadTensorTest, FloatLabels) {
  scce_.inputs.targets.dtype = Dtype::kFloat64;
  EXPECT_THAT(scce_.Run(), Violates("targets.dtype"));
  scce_.inputs.targets.dtype = Dtype::kFloat32;
  EXPECT_THAT(scce_.Run(), Violates("targets.dtype"));
}

TEST_F(BadTensorTest, OneHotRowsForTheSparseLoss) {
  Problem problem = TwoLabels(kScce, {0, 1, 0, 1, 0, 0});
  TestCall call(problem, {});
  call.inputs.targets.shape = call.inputs.predictions.shape;
  EXPECT_THAT(call.Run(), Violates("targets.shape"));
}

TEST_F(BadTensorTest, LabelsForTheDenseLoss) {
  cce_.inputs.targets = scce_.inputs.targets;
  EXPECT_THAT(cce_.Run(), Violates("targets.shape"));
}

TEST_F(BadTensorTest, WeightsOfAnotherShapeOrDtype) {
  Problem problem = TwoRows(kMse);
  problem.sample_weights = {1, 1};
  problem.mask = {1, 1};
  const Shape column = {2, 1};
  {
    TestCall call(problem, {});
    call.inputs.sample_weights->shape = column;
    EXPECT_THAT(call.Run(), Violates("sample_weights.shape"));
  }
  {
    TestCall call(problem, {});
    call.inputs.sample_weights->dtype = Dtype::kInt64;
    EXPECT_THAT(call.Run(), Violates("sample_weights.dtype"));
  }
  {
    TestCall call(problem, {});
    call.inputs.mask->shape = column;
    EXPECT_THAT(call.Run(), Violates("mask.shape"));
  }
  {
    TestCall call(problem, {});
    call.inputs.mask->dtype = Dtype::kFloat32;
    EXPECT_THAT(call.Run(), Violates("mask.dtype"));
  }
  {
    TestCall call(problem, {});
    call.inputs.mask->data = {};
    EXPECT_THAT(call.Run(), Violates("mask.data"));
  }
}

TEST_F(BadTensorTest, UpstreamGradientOfAnotherShapeOrDtype) {
  Problem problem = TwoRows(kMse);
  problem.upstream_gradient = {1, 1};
  problem.spec.reduction = Reduction::kNone;
  {
    TestCall call(problem, {});
    EXPECT_THAT(call.Run(), IsOk());
    const Shape column = {2, 1};
    call.inputs.upstream_gradient->shape = column;
    EXPECT_THAT(call.Run(), Violates("upstream_gradient.shape"));
  }
  problem.upstream_gradient = {1};
  {
    TestCall call(problem, {});
    const Shape one = {1};
    call.inputs.upstream_gradient->shape = one;
    EXPECT_THAT(call.Run(), IsOk());
    call.inputs.upstream_gradient->dtype = Dtype::kInt64;
    EXPECT_THAT(call.Run(), Violates("upstream_gradient.dtype"));
  }
}

TEST_F(BadTensorTest, UnknownExtraInputNamesTheKnownOnes) {
  cce_.extra_inputs.push_back({"class_weight", cce_.inputs.predictions});
  const absl::StatusOr<Answer> answer = cce_.Run();
  EXPECT_THAT(answer, Violates("extra_inputs.class_weight"));
  EXPECT_THAT(answer, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("class_weights")));
}

TEST_F(BadTensorTest, OutputsOfAnotherSize) {
  std::array<std::byte, 128> memory = {};
  mse_.outputs.gradient = std::span(memory).first(47);
  EXPECT_THAT(mse_.Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("gradient")));
  cce_.outputs.row_losses = std::span(memory).first(8);
  EXPECT_THAT(cce_.Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("row_losses")));
  scce_.outputs.gradient_dtype = Dtype::kInt32;
  EXPECT_THAT(scce_.Run(), StatusIs(absl::StatusCode::kInvalidArgument,
                                    HasSubstr("gradient_dtype")));
}

TEST_F(BadTensorTest, MissingPredictionKindNamesTheKinds) {
  cce_.spec.params = CategoricalCrossEntropyParams{};
  const absl::StatusOr<Answer> answer = cce_.Run();
  EXPECT_THAT(answer, Violates("options.prediction_kind"));
  EXPECT_THAT(answer,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("LOGITS"), HasSubstr("PROBABILITIES"),
                             HasSubstr("LOG_PROBABILITIES"))));
}

// 2 t - 1 of such a target is -1, but the target is not 0.
TEST_F(BadTensorTest, HingeTargetsNextToZero) {
  const HingeParams params{.label_encoding = LabelEncoding::kZeroOne};
  EXPECT_THAT(
      Solve(Elements(params, {1, 1}, {0, 1e-9}), {.dtype = Dtype::kFloat32}),
      Violates("targets.data[1]"));
  EXPECT_THAT(Solve(Elements(params, {1}, {1e-17})),
              Violates("targets.data[0]"));
}

TEST_F(BadTensorTest, NoWeightToDivideByWhereThereIsALoss) {
  Problem problem =
      TwoLabels({.prediction_kind = kLogits, .z_loss = 0.01}, {0, 0});
  problem.class_weights = {0, 1, 1};
  problem.spec.reduction = Reduction::kWeightedMean;
  EXPECT_THAT(Solve(problem), Violates("reduction"));
}

TEST_F(BadTensorTest, WeightsWhoseSumOverflows) {
  Problem problem = TwoRows(kMse);
  problem.sample_weights = {1e308, 1e308};
  problem.predictions = problem.targets;
  EXPECT_THAT(Solve(problem), Violates("sample_weights.data"));
}

TEST_F(BadTensorTest, TheTargetIsBlamedWhateverItDoesToTheWeights) {
  Problem problem = TwoRows(kCce);
  problem.targets[5] = kNan;
  problem.class_weights = {1, 2, 3};
  problem.spec.reduction = Reduction::kWeightedMean;
  EXPECT_THAT(Solve(problem), Violates("targets.data[5]"));
}

TEST_F(BadTensorTest, TheElementWhoseGradientOverflowsIsNamed) {
  Problem problem;
  problem.spec.params =
      SparseCategoricalCrossEntropyParams{.prediction_kind = kProbabilities};
  problem.spec.reduction = Reduction::kSum;
  problem.shape = {100, 3};
  for (int row = 0; row < 100; ++row) {
    const double tiny = row == 50 ? 1e-39 : 0.25;
    problem.predictions.insert(problem.predictions.end(),
                               {0.5, tiny, 0.5 - tiny});
    problem.labels.push_back(1);
  }
  for (const bool in_place : {false, true}) {
    const absl::StatusOr<Answer> answer =
        Solve(problem, {.dtype = Dtype::kFloat32, .in_place = in_place});
    EXPECT_THAT(answer, Violates("predictions.data[150]")) << in_place;
    EXPECT_THAT(answer, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr("got 0.5, whose")));
  }
}

TEST_F(BadTensorTest, IntegersAndBytesAreToldAsTheyWereGiven) {
  EXPECT_THAT(
      Solve(Elements(kMse, {1, 1}, {1, 2}), {.target_dtype = Dtype::kBool}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("targets.data[1]: got 2,")));
  Problem rows = TwoRows(kCce);
  rows.targets = {0, 1, 0, 0, 3, 1};
  EXPECT_THAT(Solve(rows, {.target_dtype = Dtype::kBool}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("targets.data[4]: got 3,")));
}

TEST_F(BadTensorTest, InPlaceNeedsTheDtypeOfThePredictions) {
  mse_.outputs.gradient =
      std::span(const_cast<std::byte*>(mse_.inputs.predictions.data.data()),
                mse_.inputs.predictions.data.size() / 2);
  mse_.outputs.gradient_dtype = Dtype::kFloat32;
  EXPECT_THAT(mse_.Run(), Violates("outputs.gradient_dtype"));
}

TEST_F(BadTensorTest, ExtraInputsComeOnce) {
  Problem problem = TwoRows(kCce);
  problem.class_weights = {1, 2, 3};
  TestCall call(problem, {});
  call.extra_inputs.push_back(call.extra_inputs.front());
  EXPECT_THAT(call.Run(), Violates("extra_inputs.class_weights"));
}

TEST_F(BadTensorTest, LikelyLogitsAmongProbabilitiesAreToldSo) {
  const BinaryCrossEntropyParams params{.prediction_kind = kProbabilities};
  EXPECT_THAT(
      Solve(Elements(params, {-3.5}, {1})),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("logits")));
}

}  // namespace
}  // namespace lossd::test
