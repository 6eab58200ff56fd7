#include "client/cli/verify_cases.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/make_array.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A file of this content in the tests' folder for temporary files.
std::string TempFile(const std::string& content) {
  std::string path = ::testing::TempDir() + "/lossctl_cases.json";
  std::ofstream(path) << content;
  return path;
}

TEST(ReadCasesTest, ReadsTheStoredCases) {
  const auto quickstart = ReadCases("tests/data/cases.json", false);
  ASSERT_THAT(quickstart, IsOk());
  EXPECT_EQ(quickstart->size(), 9U);
  const auto all = ReadCases("tests/data/cases.json", true);
  ASSERT_THAT(all, IsOk());
  EXPECT_GT(all->size(), quickstart->size());
  for (const VerifyCase& verify_case : *all) {
    EXPECT_EQ(verify_case.expected_gradient.shape,
              verify_case.files.Find("predictions")->shape)
        << verify_case.id;
  }
}

TEST(ReadCasesTest, NamesTheFileAndWhatIsWrong) {
  EXPECT_THAT(
      ReadCases("missing.json", true),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("--cases missing.json")));
  EXPECT_THAT(ReadCases(TempFile("[{"), true),
              StatusIs(kInvalid, HasSubstr("parse error")));
  EXPECT_THAT(ReadCases(TempFile("[]"), true),
              StatusIs(kInvalid, HasSubstr("holds no case")));
  EXPECT_THAT(ReadCases(TempFile(R"([{"id": "a"}])"), true),
              StatusIs(kInvalid, HasSubstr("loss")));
  EXPECT_THAT(
      ReadCases(TempFile(R"([{"id": "a", "loss": "hubert", "options": {}}])"),
                true),
      StatusIs(kInvalid, HasSubstr("case \"a\": unknown loss")));
  EXPECT_THAT(ReadCases(TempFile("17"), true), StatusIs(kInvalid, testing::_));
}

TEST(RelativeDifferenceTest, IsRelativeToTheExpected) {
  EXPECT_EQ(RelativeDifference(3, 2), 0.5);
  EXPECT_EQ(RelativeDifference(-3, -2), 0.5);
  EXPECT_EQ(RelativeDifference(0, 0), 0);
  EXPECT_EQ(RelativeDifference(1, 0), INFINITY);
  EXPECT_FALSE(RelativeDifference(NAN, 1) <= kLossTolerance);
}

TEST(GradientDifferenceTest, IsRelativeToTheLargest) {
  const Array expected = Floats({2, 2}, {-4, 1, 0.5, 0});
  EXPECT_EQ(GradientDifference(expected, expected), 0);
  EXPECT_EQ(GradientDifference(Floats({2, 2}, {-4, 2, 0.5, 0.5}), expected),
            0.25);
  EXPECT_EQ(GradientDifference(Floats({2, 2}, {4, 1, 0.5, 0}), expected), 2);
}

TEST(GradientDifferenceTest, NothingHidesBehindZeroAndNan) {
  const Array zero = Floats({1, 2}, {0, 0});
  EXPECT_EQ(GradientDifference(zero, zero), 0);
  EXPECT_EQ(GradientDifference(Floats({1, 2}, {0, 1e-30}), zero), INFINITY);
  EXPECT_EQ(
      GradientDifference(Floats({1, 2}, {NAN, 1}), Floats({1, 2}, {1, 1})),
      INFINITY);
}

}  // namespace
}  // namespace lossd::cli
