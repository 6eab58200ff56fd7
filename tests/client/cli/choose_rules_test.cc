#include "client/cli/choose_rules.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/array_file.h"
#include "client/cli/options_reflection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/make_array.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// "LOSS option=value ...".
std::string Choice(const Array& predictions, const Array& targets) {
  const auto result = Choose(predictions, targets);
  if (!result.ok()) return result.status().ToString();
  std::string text = result->loss;
  for (const ChosenOption& option : result->options) {
    text += " " + option.name + "=" + option.value;
    EXPECT_FALSE(option.evidence.empty()) << text;
  }
  // What is recommended exists, and is not its own alternative.
  auto loss = MakeLoss(result->loss);
  EXPECT_THAT(loss, IsOk()) << result->loss;
  if (!loss.ok()) return text;
  for (const ChosenOption& option : result->options) {
    EXPECT_THAT(SetOption(option.name, option.value, &*loss), IsOk());
  }
  EXPECT_FALSE(result->rule.empty());
  EXPECT_FALSE(result->evidence.empty());
  EXPECT_FALSE(result->alternatives.empty());
  for (const Alternative& alternative : result->alternatives) {
    EXPECT_THAT(MakeLoss(alternative.loss), IsOk());
    EXPECT_NE(alternative.loss, result->loss);
    EXPECT_FALSE(alternative.why_not.empty()) << alternative.loss;
  }
  return text;
}

// Choice of two files of tests/data.
std::string ChoiceOf(const std::string& predictions,
                     const std::string& targets) {
  const auto p =
      ReadArray("tests/data/" + predictions + ".npy", CsvElements::kFloat);
  const auto t =
      ReadArray("tests/data/" + targets + ".npy", CsvElements::kFloat);
  if (!p.ok() || !t.ok()) return "unreadable";
  return Choice(*p, *t);
}

// Predictions of 200 targets 1000, 1010, ..., off by a sine of height 1, so
// that nothing but `outlier`, the error of one of them, stands out.
struct Regression {
  Array predictions;
  Array targets;
};
Regression MakeRegression(double outlier) {
  std::vector<double> predictions;
  std::vector<double> targets;
  for (int i = 0; i < 200; ++i) {
    targets.push_back(1000 + 10 * i);
    predictions.push_back(targets.back() + std::sin(i));
  }
  predictions[77] = targets[77] + outlier;
  return {Floats({200}, predictions), Floats({200}, targets)};
}

TEST(ChooseTest, RealData) {
  EXPECT_EQ(ChoiceOf("diabetes_predictions", "diabetes_targets"),
            "mean_squared_error");
  EXPECT_EQ(ChoiceOf("breast_cancer_logits", "breast_cancer_labels"),
            "binary_cross_entropy prediction_kind=LOGITS");
  EXPECT_EQ(ChoiceOf("breast_cancer_probabilities", "breast_cancer_labels"),
            "binary_cross_entropy prediction_kind=PROBABILITIES");
  EXPECT_EQ(ChoiceOf("breast_cancer_scores", "breast_cancer_signs"), "hinge");
  EXPECT_EQ(ChoiceOf("digits_logits", "digits_labels"),
            "sparse_categorical_cross_entropy prediction_kind=LOGITS");
  EXPECT_EQ(ChoiceOf("digits_log_probabilities", "digits_labels"),
            "sparse_categorical_cross_entropy "
            "prediction_kind=LOG_PROBABILITIES");
  EXPECT_EQ(ChoiceOf("digits_probabilities", "digits_one_hot"),
            "categorical_cross_entropy prediction_kind=PROBABILITIES");
  EXPECT_EQ(ChoiceOf("digits_logits", "digits_soft_targets"),
            "kullback_leibler_divergence prediction_kind=LOGITS");
}

TEST(ChooseTest, PaddingLabelsAreIgnored) {
  const Array logits = Floats({3, 2}, {1, -1, 0, 2, 3, 4});
  EXPECT_EQ(Choice(logits, Integers({3}, {0, -100, 1})),
            "sparse_categorical_cross_entropy prediction_kind=LOGITS "
            "ignore_index=-100");
}

TEST(ChooseTest, LabelsThatCountFromOneAreNoticed) {
  const Array logits = Floats({3, 3}, {1, -1, 0, 2, 3, 4, 0, 0, 0});
  const auto result = Choose(logits, Integers({3}, {3, 1, 2}));
  ASSERT_THAT(result, IsOk());
  ASSERT_EQ(result->notes.size(), 1U);
  EXPECT_THAT(result->notes[0], HasSubstr("1-based"));
}

TEST(ChooseTest, FloatLabelsHaveToBeConverted) {
  const Array logits = Floats({2, 3}, {1, -1, 0, 2, 3, 4});
  const auto result = Choose(logits, Floats({2}, {2, 0}));
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->loss, "sparse_categorical_cross_entropy");
  ASSERT_EQ(result->notes.size(), 1U);
  EXPECT_THAT(result->notes[0], HasSubstr("float64"));
}

TEST(ChooseTest, LabelsThatAreNoClassNumbersAreRefused) {
  const Array logits = Floats({2, 3}, {1, -1, 0, 2, 3, 4});
  EXPECT_THAT(Choose(logits, Integers({2}, {0, 7})),
              StatusIs(kInvalid, AllOf(HasSubstr("--targets"),
                                       HasSubstr("allowed: 0 to 2"))));
  EXPECT_THAT(Choose(logits, Floats({2}, {0, 1e300})),
              StatusIs(kInvalid, HasSubstr("allowed: 0 to 2")));
  EXPECT_THAT(Choose(logits, Floats({2}, {0.5, 1})),
              StatusIs(kInvalid, HasSubstr("no class numbers")));
}

TEST(ChooseTest, ShapesThatFitNoLossAreRefused) {
  const Array column = Floats({2, 1}, {1, 2});
  EXPECT_THAT(Choose(column, Floats({2}, {1, 2})),
              StatusIs(kInvalid, AllOf(HasSubstr("[2, 1]"), HasSubstr("[2]"),
                                       HasSubstr("reshape"))));
  EXPECT_THAT(
      Choose(Floats({2, 2}, {1, 2, 3, 4}), Floats({3}, {1, 2, 3})),
      StatusIs(kInvalid, AllOf(HasSubstr("got shape [3]"), HasSubstr("[2, 2]"),
                               HasSubstr("or [2] for class labels"))));
}

TEST(ChooseTest, NanAndNothingAreRefused) {
  EXPECT_THAT(Choose(Floats({2}, {1, NAN}), Floats({2}, {1, 2})),
              StatusIs(kInvalid, HasSubstr("--predictions: element 1")));
  EXPECT_THAT(Choose(Floats({2}, {1, 2}), Floats({2}, {NAN, 2})),
              StatusIs(kInvalid, HasSubstr("--targets: element 0")));
  EXPECT_THAT(Choose(Floats({0, 3}, {}), Floats({0}, {})),
              StatusIs(kInvalid, HasSubstr("no element")));
}

TEST(ChooseTest, InfinitiesAreRefusedWhereLossesTakeNone) {
  EXPECT_THAT(
      Choose(Floats({3}, {1, -INFINITY, 3}), Floats({3}, {1.5, 2, 7})),
      StatusIs(kInvalid,
               "--predictions: element 1 is -inf, allowed: finite numbers"));
  EXPECT_THAT(Choose(Floats({2}, {1, 2}), Floats({2}, {INFINITY, 2.5})),
              StatusIs(kInvalid,
                       "--targets: element 0 is inf, allowed: finite numbers"));
  EXPECT_THAT(Choose(Floats({2}, {1, INFINITY}), Floats({2}, {0, 1})),
              StatusIs(kInvalid, HasSubstr("--predictions: element 1 is inf")));
  EXPECT_THAT(Choose(Floats({2}, {1, 1e308}), Floats({2}, {1.5, -1e308})),
              StatusIs(kInvalid, HasSubstr("--targets: element 1 is -1e+308, "
                                           "allowed: numbers whose diff")));
}

TEST(ChooseTest, ImpossibleClassesMayBeMinusInfinity) {
  EXPECT_EQ(Choice(Floats({2, 2}, {0, -INFINITY, 1, 2}), Integers({2}, {0, 1})),
            "sparse_categorical_cross_entropy prediction_kind=LOGITS");
}

TEST(ChooseTest, OneHotRows) {
  const Array one_hot = Floats({2, 3}, {0, 0, 1, 1, 0, 0});
  EXPECT_EQ(Choice(Floats({2, 3}, {1, -1, 0, 2, 3, 4}), one_hot),
            "categorical_cross_entropy prediction_kind=LOGITS");
  // A sigmoid for each class.
  EXPECT_EQ(Choice(Floats({2, 3}, {.9, .8, .1, .2, .3, .4}), one_hot),
            "binary_cross_entropy prediction_kind=PROBABILITIES");
}

TEST(ChooseTest, MultiHotRows) {
  const Array multi_hot = Floats({2, 3}, {0, 1, 1, 1, 0, 0});
  EXPECT_EQ(Choice(Floats({2, 3}, {1, -1, 0, 2, 3, 4}), multi_hot),
            "binary_cross_entropy prediction_kind=LOGITS");
  EXPECT_EQ(Choice(Floats({2, 3}, {.5, .25, .25, .25, .5, .25}), multi_hot),
            "categorical_cross_entropy prediction_kind=PROBABILITIES");
}

TEST(ChooseTest, OneColumnOfZerosAndOnesIsBinary) {
  EXPECT_EQ(Choice(Floats({3, 1}, {2, -1, 3}), Floats({3, 1}, {1, 0, 1})),
            "binary_cross_entropy prediction_kind=LOGITS");
}

TEST(ChooseTest, TargetsOverThreeDecades) {
  std::vector<double> targets;
  std::vector<double> predictions;
  for (int i = 0; i <= 40; ++i) {
    targets.push_back(std::pow(10, i / 10.0));
    predictions.push_back(targets.back() * 1.1);
  }
  EXPECT_EQ(Choice(Floats({41}, predictions), Floats({41}, targets)),
            "mean_squared_logarithmic_error");
  predictions[0] = -2;
  EXPECT_NE(Choice(Floats({41}, predictions), Floats({41}, targets)),
            "mean_squared_logarithmic_error");
}

TEST(ChooseTest, HalfOfTheTargetsMayLieInTheDecadeBelowTheLast) {
  std::vector<double> targets(41, 500);
  for (int i = 0; i <= 8; ++i) {
    targets[static_cast<size_t>(i)] = std::pow(10, i / 2.0);
  }
  const Array array = Floats({41}, targets);
  EXPECT_EQ(Choice(array, array), "mean_squared_logarithmic_error");
}

TEST(ChooseTest, OneSmallTargetMakesNoDecades) {
  std::vector<double> targets(200);
  for (int i = 0; i < 200; ++i) targets[static_cast<size_t>(i)] = 1 + 10 * i;
  targets[0] = 0.5;
  EXPECT_EQ(Choice(Floats({200}, targets), Floats({200}, targets)),
            "mean_squared_error");
}

TEST(ChooseTest, HeavyTails) {
  const Regression clean = MakeRegression(0);
  EXPECT_EQ(Choice(clean.predictions, clean.targets), "mean_squared_error");
  const Regression outlier = MakeRegression(100);
  const auto result = Choose(outlier.predictions, outlier.targets);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->loss, "huber");
  // 100^2 of 100^2 and 199 squares of sines, which have mean 1/2: 99 %.
  EXPECT_THAT(result->evidence, HasSubstr("(2 of 200) own 99 %"));
  ASSERT_EQ(result->options.size(), 1U);
  EXPECT_EQ(result->options[0].name, "delta");
  // 1.345 * 1.4826 times the median of |sin|, 0.707.
  EXPECT_NEAR(std::stod(result->options[0].value), 1.41, 0.02);
}

TEST(ChooseTest, AHandfulOfErrorsIsNotHeavy) {
  // The largest owns most of the squares, as one of four must.
  EXPECT_EQ(Choice(Floats({4}, {1.1, 7.3, -4, 12}), Floats({4}, {1, 7, -5, 9})),
            "mean_squared_error");
}

TEST(ChooseTest, PerfectPredictionsAreNoReasonToStop) {
  const Array same = Floats({3}, {1.5, 2.5, -3});
  EXPECT_EQ(Choice(same, same), "mean_squared_error");
  EXPECT_THAT(Choose(same, same)->evidence, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace lossd::cli
