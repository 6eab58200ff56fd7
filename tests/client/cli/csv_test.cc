#include "client/cli/csv.h"

#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(CsvTest, OneNumberALineIsAVector) {
  const auto array = ParseCsv("1.5\n-2e3\n+4\n", CsvElements::kFloat);
  ASSERT_THAT(array, IsOk());
  EXPECT_EQ(array->dtype, v1::DTYPE_FLOAT64);
  EXPECT_THAT(array->shape, ElementsAre(3));
  EXPECT_EQ(array->Number(0), 1.5);
  EXPECT_EQ(array->Number(1), -2000);
  EXPECT_EQ(array->Number(2), 4);
}

TEST(CsvTest, MoreNumbersALineAreAMatrix) {
  const auto array = ParseCsv(" 1 , 2,3\r\n4,5,6\r\n", CsvElements::kFloat);
  ASSERT_THAT(array, IsOk());
  EXPECT_THAT(array->shape, ElementsAre(2, 3));
  EXPECT_EQ(array->Number(5), 6);
}

TEST(CsvTest, TheLastLineNeedsNoEnd) {
  const auto array = ParseCsv("1\n2", CsvElements::kFloat);
  ASSERT_THAT(array, IsOk());
  EXPECT_THAT(array->shape, ElementsAre(2));
}

TEST(CsvTest, TheMarkOfSpreadsheetsIsSkipped) {
  const auto array = ParseCsv(
      "\xEF\xBB\xBF"
      "7,2\n",
      CsvElements::kFloat);
  ASSERT_THAT(array, IsOk());
  EXPECT_EQ(array->Number(0), 7);
}

TEST(CsvTest, AFileWithoutNumbersIsNoArray) {
  for (const char* text : {"", "\n", " \r\n\n", "\xEF\xBB\xBF"}) {
    EXPECT_THAT(ParseCsv(text, CsvElements::kFloat),
                StatusIs(kInvalid, HasSubstr("got an empty file")));
  }
}

TEST(CsvTest, NanAndInfinityAreNumbers) {
  const auto array = ParseCsv("nan\n-inf\n", CsvElements::kIntegerIfWhole);
  ASSERT_THAT(array, IsOk());
  EXPECT_TRUE(std::isnan(array->Number(0)));
  EXPECT_EQ(array->Number(1), -INFINITY);
}

TEST(CsvTest, SpellingDecidesBetweenIntegersAndFloats) {
  const auto whole = ParseCsv("1\n-100\n", CsvElements::kIntegerIfWhole);
  ASSERT_THAT(whole, IsOk());
  EXPECT_EQ(whole->dtype, v1::DTYPE_INT64);
  EXPECT_EQ(whole->Number(1), -100);
  const auto mixed = ParseCsv("1\n2.0\n3\n", CsvElements::kIntegerIfWhole);
  ASSERT_THAT(mixed, IsOk());
  EXPECT_EQ(mixed->dtype, v1::DTYPE_FLOAT64);
  EXPECT_EQ(mixed->Number(2), 3);
}

TEST(CsvTest, MasksAreZerosAndOnes) {
  const auto mask = ParseCsv("1\n0\n", CsvElements::kBool);
  ASSERT_THAT(mask, IsOk());
  EXPECT_EQ(mask->dtype, v1::DTYPE_BOOL);
  EXPECT_EQ(mask->data, std::string("\1\0", 2));
  EXPECT_THAT(ParseCsv("1\n2\n", CsvElements::kBool),
              StatusIs(kInvalid, HasSubstr("line 2, column 1: got '2'")));
}

TEST(CsvTest, NamesLineAndColumnOfWhatIsNoNumber) {
  EXPECT_THAT(ParseCsv("1,2\n3,x\n", CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr("line 2, column 2: got 'x'")));
  EXPECT_THAT(ParseCsv("1,\n", CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr("line 1, column 2: got ''")));
  EXPECT_THAT(ParseCsv("1\n\n2\n", CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr("line 2, column 1")));
  EXPECT_THAT(ParseCsv("0x10\n", CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr("line 1")));
  EXPECT_THAT(ParseCsv("1e999\n", CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr("numbers of float64")));
  EXPECT_THAT(ParseCsv(std::string("1\n\0\n", 4), CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr("line 2")));
}

TEST(CsvTest, RefusesAHeaderLine) {
  EXPECT_THAT(ParseCsv("target\n1\n", CsvElements::kFloat),
              StatusIs(kInvalid, AllOf(HasSubstr("got 'target'"),
                                       HasSubstr("without a header line"))));
}

TEST(CsvTest, RefusesLinesOfDifferentLengths) {
  EXPECT_THAT(ParseCsv("1,2\n3,4\n5\n", CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr("line 3: got 1 numbers, allowed: "
                                           "2 as in line 1")));
}

}  // namespace
}  // namespace lossd::cli
