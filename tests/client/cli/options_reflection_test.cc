#include "client/cli/options_reflection.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/compare_candidates.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lossd/v1/loss_service.pb.h"
#include "tests/client/cli/make_array.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
  ASSERT_EQ(options.size(), 3U);
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

TEST(CandidatesTest, VectorsHaveNoClasses) {
  const auto found =
      FindCandidates(Floats({2}, {0.2, 0.7}), Floats({2}, {0, 1}), "", {});
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(
      Texts(*found),
      ElementsAre("mean_squared_error ", "mean_squared_logarithmic_error ",
                  "mean_absolute_error ", "huber ",
                  "binary_cross_entropy prediction_kind=PROBABILITIES",
                  "hinge label_encoding=ZERO_ONE"));
  EXPECT_EQ(found->misfits.size(), 3U);
}

TEST(CandidatesTest, SweepsMultiplyTheLossesThatHaveTheOption) {
  const auto found = FindCandidates(Floats({2}, {5, 7}), Floats({2}, {4, 3}),
                                    "", {"delta=0.5,3"});
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(
      Texts(*found),
      ElementsAre("mean_squared_error ", "mean_squared_logarithmic_error ",
                  "mean_absolute_error ", "huber delta=0.5", "huber delta=3",
                  "binary_cross_entropy prediction_kind=LOGITS", "hinge "));
}

TEST(CandidatesTest, BadSweepsNameTheFlag) {
  const Array array = Floats({1}, {1});
  EXPECT_THAT(FindCandidates(array, array, "", {"delta"}),
              StatusIs(kInvalid, HasSubstr("--sweep: got 'delta'")));
  EXPECT_THAT(FindCandidates(array, array, "", {"gamma=1,2"}),
              StatusIs(kInvalid, AllOf(HasSubstr("--sweep"),
                                       HasSubstr("'gamma', allowed: delta"))));
  EXPECT_THAT(FindCandidates(array, array, "", {"delta=1,x"}),
              StatusIs(kInvalid, HasSubstr("--sweep: --delta: got 'x'")));
}

}  // namespace
}  // namespace lossd::cli
