#include "client/cli/input_files.h"

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lossd/v1/status.pb.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kMatrix[] = "tests/data/digits_logits.npy";
constexpr char kVector[] = "tests/data/diabetes_predictions.npy";

// Violation of a field, as the server words it.
v1::FieldViolation Violation(const std::string& field,
                             std::optional<int64_t> index = std::nullopt) {
  v1::FieldViolation violation;
  violation.set_field(field);
  if (index) violation.set_index(*index);
  violation.set_got("nan");
  violation.set_allowed("finite numbers");
  return violation;
}

class ExplainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(files_.Read("predictions", "--predictions p.npy", kMatrix,
                            CsvElements::kFloat),
                IsOk());
    ASSERT_THAT(
        files_.Read("targets", "--targets t.npy", kVector, CsvElements::kFloat),
        IsOk());
    ASSERT_THAT(files_.Read("extra_inputs.class_weights", "--class_weights c",
                            kVector, CsvElements::kFloat),
                IsOk());
  }

  InputFiles files_;
};

TEST_F(ExplainTest, NamesFileRowAndColumn) {
  EXPECT_EQ(files_.Explain(Violation("predictions.data", 13)),
            "--predictions p.npy: element 13 (row 1, column 3): got nan, "
            "allowed: finite numbers");
  EXPECT_EQ(files_.Explain(Violation("targets.data", 7)),
            "--targets t.npy: element 7: got nan, allowed: finite numbers");
  EXPECT_EQ(files_.Explain(Violation("extra_inputs.class_weights.data", 2)),
            "--class_weights c: element 2: got nan, allowed: finite numbers");
}

TEST_F(ExplainTest, NamesShapeAndDtype) {
  EXPECT_EQ(files_.Explain(Violation("targets.shape")),
            "--targets t.npy: shape: got nan, allowed: finite numbers");
  EXPECT_EQ(files_.Explain(Violation("predictions.dtype")),
            "--predictions p.npy: dtype: got nan, allowed: finite numbers");
}

TEST_F(ExplainTest, NamesTheFlagsOfOptionsAndSettings) {
  EXPECT_EQ(files_.Explain(Violation("loss.huber.delta")),
            "--delta: got nan, allowed: finite numbers");
  EXPECT_THAT(files_.Explain(Violation("loss")), HasSubstr("--loss: got"));
  EXPECT_THAT(files_.Explain(Violation("loss.huber")),
              HasSubstr("--loss: got"));
  EXPECT_THAT(files_.Explain(Violation("normalizer")),
              HasSubstr("--normalizer: got"));
  EXPECT_THAT(files_.Explain(Violation("outputs.gradient_dtype")),
              HasSubstr("--gradient_dtype: got"));
  EXPECT_THAT(files_.Explain(Violation("extra_inputs.colour")),
              HasSubstr("--extra_inputs"));
  EXPECT_THAT(files_.Explain(Violation("extra_gradients.variance")),
              HasSubstr("--extra_gradient_out variance: got"));
}

TEST_F(ExplainTest, SurvivesIndicesOutsideTheArray) {
  EXPECT_THAT(files_.Explain(Violation("predictions.data", 1 << 30)),
              HasSubstr("element 1073741824"));
  EXPECT_THAT(files_.Explain(Violation("predictions.data", -1)),
              HasSubstr("element -1"));
}

TEST_F(ExplainTest, StatusesWithoutViolationsSpeakForThemselves) {
  EXPECT_EQ(files_.Explain(absl::UnavailableError("nobody answers")),
            "UNAVAILABLE: nobody answers");
}

TEST(InputFilesTest, ErrorsNameTheFlag) {
  InputFiles files;
  EXPECT_THAT(files.Read("predictions", "--predictions missing.npy",
                         "missing.npy", CsvElements::kFloat),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("--predictions missing.npy: "),
                             HasSubstr("No such file"))));
  EXPECT_EQ(files.Find("predictions"), nullptr);
}

}  // namespace
}  // namespace lossd::cli
