#include "client/cli/options_reflection.h"

#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/compare_candidates.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lossd/v1/loss_service.pb.h"
#include "tests/client/cli/make_array.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(LossNamesTest, FullAndShortNamesInAnyCase) {
  for (const v1::Loss& loss : AllLosses()) {
    const v1::LossInfo& info = InfoOf(loss);
    std::vector<std::string> names(info.aliases().begin(),
                                   info.aliases().end());
    names.push_back(info.name());
    for (const std::string& name : names) {
      const auto made = MakeLoss(name);
      ASSERT_THAT(made, IsOk());
      EXPECT_EQ(made->kind_case(), loss.kind_case()) << name;
    }
  }
  EXPECT_TRUE(MakeLoss("MSE")->has_mean_squared_error());
  EXPECT_TRUE(MakeLoss("scce")->has_sparse_categorical_cross_entropy());
}

TEST(LossNamesTest, UnknownNamesAreAnsweredWithTheKnown) {
  EXPECT_THAT(MakeLoss("hubert"),
              StatusIs(kInvalid, AllOf(HasSubstr("'hubert'"),
                                       HasSubstr("huber, binary"))));
  EXPECT_THAT(MakeLoss("named"), StatusIs(kInvalid, HasSubstr("'named'")));
}

TEST(OptionsTest, EveryTypeIsReadFromText) {
  v1::Loss loss = *MakeLoss("scce");
  EXPECT_THAT(SetOption("prediction_kind", "logits", &loss), IsOk());
  EXPECT_THAT(SetOption("ignore_index", "-100", &loss), IsOk());
  EXPECT_THAT(SetOption("label_smoothing", "0.1", &loss), IsOk());
  const auto& options = loss.sparse_categorical_cross_entropy();
  EXPECT_EQ(options.prediction_kind(), v1::PREDICTION_KIND_LOGITS);
  EXPECT_EQ(options.ignore_index(), -100);
  EXPECT_EQ(options.label_smoothing(), 0.1);
  EXPECT_EQ(OptionsText(loss),
            "prediction_kind=LOGITS ignore_index=-100 label_smoothing=0.1");
}

TEST(OptionsTest, SwitchesAreTrueAndFalse) {
  v1::Loss loss = *MakeLoss("triplet");
  EXPECT_THAT(SetOption("swap", "TRUE", &loss), IsOk());
  EXPECT_TRUE(loss.triplet().swap());
  EXPECT_EQ(OptionText(loss, "swap"), "true");
  EXPECT_THAT(SetOption("swap", "false", &loss), IsOk());
  EXPECT_FALSE(loss.triplet().swap());
  EXPECT_EQ(OptionsText(loss), "swap=false");
  for (const char* text : {"", "1", "yes", "true "}) {
    EXPECT_THAT(SetOption("swap", text, &loss),
                StatusIs(kInvalid,
                         HasSubstr(absl::StrCat("--swap: got '", text,
                                                "', allowed: true or false"))));
  }
}

// Of every loss there is.
TEST(OptionsTest, EveryDefaultIsAValueOfItsOption) {
  for (const v1::Loss& plain : AllLosses()) {
    for (const v1::OptionInfo& option : OptionsOf(plain)) {
      SCOPED_TRACE(InfoOf(plain).name() + " " + option.name());
      EXPECT_TRUE(HasOption(plain, option.name()));
      v1::Loss loss = plain;
      EXPECT_EQ(OptionText(loss, option.name()), std::nullopt);
      if (option.default_value().empty()) continue;
      EXPECT_THAT(SetOption(option.name(), option.default_value(), &loss),
                  IsOk());
      const std::string text = OptionText(loss, option.name()).value_or("");
      if (option.type() == "double") {
        // 1e-7 is written 1e-07.
        EXPECT_EQ(std::stod(text), std::stod(option.default_value()));
      } else {
        EXPECT_EQ(text, option.default_value());
      }
    }
  }
}

TEST(OptionsTest, InputsAreFoundByName) {
  const v1::Loss loss = *MakeLoss("gaussian_nll");
  ASSERT_NE(FindInput(loss, "variance"), nullptr);
  EXPECT_TRUE(FindInput(loss, "variance")->differentiable());
  EXPECT_EQ(FindInput(loss, "class_weights"), nullptr);
  EXPECT_FALSE(HasOption(loss, "variance"));
  EXPECT_FALSE(HasOption(*MakeLoss("mse"), "delta"));
}

TEST(OptionsTest, RangesAreLeftToTheServer) {
  v1::Loss loss = *MakeLoss("huber");
  EXPECT_THAT(SetOption("delta", "-1", &loss), IsOk());
  EXPECT_EQ(loss.huber().delta(), -1);
}

TEST(OptionsTest, NamesTheFlagAndWhatIsAllowed) {
  v1::Loss huber = *MakeLoss("huber");
  EXPECT_THAT(SetOption("delta", "wide", &huber),
              StatusIs(kInvalid, HasSubstr("--delta: got 'wide', allowed: a "
                                           "number > 0")));
  EXPECT_THAT(SetOption("delta", "1x", &huber), StatusIs(kInvalid, testing::_));
  v1::Loss bce = *MakeLoss("bce");
  EXPECT_THAT(SetOption("prediction_kind", "guess", &bce),
              StatusIs(kInvalid, HasSubstr("allowed: LOGITS, PROBABILITIES")));
  v1::Loss scce = *MakeLoss("scce");
  EXPECT_THAT(SetOption("ignore_index", "1.5", &scce),
              StatusIs(kInvalid, HasSubstr("a whole number")));
}

TEST(OptionsTest, OptionsOfOtherLossesAreAnsweredWithItsOwn) {
  v1::Loss hinge = *MakeLoss("hinge");
  EXPECT_THAT(SetOption("delta", "1", &hinge),
              StatusIs(kInvalid, AllOf(HasSubstr("--delta: no option of hinge"),
                                       HasSubstr("--label_encoding"))));
  v1::Loss mse = *MakeLoss("mse");
  EXPECT_THAT(SetOption("delta", "1", &mse),
              StatusIs(kInvalid, HasSubstr("which has none")));
}

TEST(OptionsTest, DescribeThemselves) {
  const std::vector<v1::OptionInfo> options =
      OptionsOf(*MakeLoss("binary_cross_entropy"));
  ASSERT_GE(options.size(), 3U);
  EXPECT_EQ(options[0].name(), "prediction_kind");
  EXPECT_EQ(options[0].type(), "enum");
  EXPECT_EQ(AllowedText(options[0]), "LOGITS, PROBABILITIES");
  EXPECT_EQ(DefaultText(options[0]), "must be set");
  EXPECT_EQ(options[1].type(), "double");
  EXPECT_EQ(AllowedText(options[1]), ">= 0 and <= 1");
  EXPECT_EQ(DefaultText(options[1]), "default 0");
  EXPECT_EQ(DefaultText(OptionsOf(*MakeLoss("scce"))[1]), "optional");
}

TEST(EnumsTest, ShortNamesInAnyCase) {
  EXPECT_EQ(*ParseEnum<v1::Reduction>("--reduction", "Weighted_Mean"),
            v1::REDUCTION_WEIGHTED_MEAN);
  EXPECT_EQ(ShortName(v1::SEMANTICS_STRICT), "STRICT");
  EXPECT_EQ(ShortName(v1::REDUCTION_UNSPECIFIED), "");
  EXPECT_THAT(ParseEnum<v1::Reduction>("--reduction", "average"),
              StatusIs(kInvalid,
                       "--reduction: got 'average', allowed: NONE, SUM, MEAN, "
                       "WEIGHTED_MEAN, BATCHMEAN"));
  EXPECT_THAT(ParseEnum<v1::Reduction>("--reduction", "unspecified"),
              StatusIs(kInvalid, testing::_));
}

// "LOSS options" of every candidate.
std::vector<std::string> Texts(const Candidates& candidates) {
  std::vector<std::string> texts;
  for (const Candidate& candidate : candidates.candidates) {
    texts.push_back(InfoOf(candidate.loss).name() + " " +
                    OptionsText(candidate.loss));
  }
  return texts;
}

// Why a loss is not a candidate; empty if it is none of the misfits.
std::string WhyNot(const Candidates& candidates, const std::string& loss) {
  for (const Misfit& misfit : candidates.misfits) {
    if (misfit.loss == loss) return misfit.why_not;
  }
  return "";
}

// Each loss is either tried or explained.
void ExpectAllLosses(const Candidates& found) {
  std::set<std::string> names;
  for (const Candidate& candidate : found.candidates) {
    names.insert(InfoOf(candidate.loss).name());
  }
  for (const Misfit& misfit : found.misfits) {
    EXPECT_TRUE(names.insert(misfit.loss).second) << misfit.loss;
    EXPECT_NE(misfit.why_not, "");
  }
  EXPECT_EQ(names.size(), AllLosses().size());
}

TEST(CandidatesTest, VectorsHaveNoClasses) {
  const auto found =
      FindCandidates(Floats({2}, {0.2, 0.7}), Floats({2}, {0, 1}), "", {});
  ASSERT_THAT(found, IsOk());
  ExpectAllLosses(*found);
  const std::vector<std::string> texts = Texts(*found);
  EXPECT_THAT(
      texts, IsSupersetOf({"mean_squared_error ", "huber ", "smooth_l1 ",
                           "binary_cross_entropy prediction_kind=PROBABILITIES",
                           "focal prediction_kind=PROBABILITIES",
                           "hinge label_encoding=ZERO_ONE",
                           "soft_margin label_encoding=ZERO_ONE"}));
  for (const char* loss :
       {"categorical_cross_entropy", "sparse_categorical_cross_entropy",
        "kullback_leibler_divergence", "multi_margin", "nll",
        "jensen_shannon_divergence"}) {
    EXPECT_THAT(WhyNot(*found, loss), HasSubstr("at least two classes"));
  }
}

TEST(CandidatesTest, LossesOfFurtherTensorsAreLeftOutWithAWord) {
  const Array matrix = Floats({2, 2}, {0.2, 0.8, 0.7, 0.3});
  const auto found = FindCandidates(matrix, matrix, "", {});
  ASSERT_THAT(found, IsOk());
  ExpectAllLosses(*found);
  EXPECT_THAT(WhyNot(*found, "triplet"),
              HasSubstr("it needs positive, negative"));
  EXPECT_THAT(WhyNot(*found, "ppo"),
              HasSubstr("it needs old_log_probabilities, advantages"));
  for (const Candidate& candidate : found->candidates) {
    for (const v1::InputInfo& input : InfoOf(candidate.loss).inputs()) {
      EXPECT_TRUE(!input.required() || input.name() == "targets")
          << InfoOf(candidate.loss).name() << ' ' << input.name();
    }
  }
}

// Their number would mean nothing for logits.
TEST(CandidatesTest, LossesOfLogarithmsWantLogarithms) {
  const Array labels = Integers({2}, {0, 1});
  const auto logits =
      FindCandidates(Floats({2, 2}, {3, -1, 0.5, 2}), labels, "", {});
  ASSERT_THAT(logits, IsOk());
  EXPECT_THAT(WhyNot(*logits, "nll"),
              HasSubstr("it needs log-probabilities: predictions go from -1"));
  const double half = std::log(0.5);
  const auto logarithms =
      FindCandidates(Floats({2, 2}, {half, half, half, half}), labels, "", {});
  ASSERT_THAT(logarithms, IsOk());
  EXPECT_THAT(Texts(*logarithms), Contains("nll "));
}

TEST(CandidatesTest, SweepsMultiplyTheLossesThatHaveTheOption) {
  const auto found = FindCandidates(Floats({2}, {5, 7}), Floats({2}, {4, 3}),
                                    "", {"delta=0.5,3"});
  ASSERT_THAT(found, IsOk());
  ExpectAllLosses(*found);
  const std::vector<std::string> texts = Texts(*found);
  EXPECT_THAT(texts, IsSupersetOf({"mean_squared_error ", "huber delta=0.5",
                                   "huber delta=3",
                                   "binary_cross_entropy "
                                   "prediction_kind=LOGITS"}));
  EXPECT_THAT(texts, Not(Contains("huber ")));
}

TEST(CandidatesTest, BadSweepsNameTheFlag) {
  const Array array = Floats({1}, {1});
  EXPECT_THAT(FindCandidates(array, array, "", {"delta"}),
              StatusIs(kInvalid, HasSubstr("--sweep: got 'delta'")));
  EXPECT_THAT(FindCandidates(array, array, "", {"colour=1,2"}),
              StatusIs(kInvalid, AllOf(HasSubstr("--sweep: no loss has"),
                                       HasSubstr("'colour', allowed: "))));
  EXPECT_THAT(FindCandidates(array, array, "", {"delta=1,x"}),
              StatusIs(kInvalid, HasSubstr("--sweep: --delta: got 'x'")));
}

}  // namespace
}  // namespace lossd::cli
