#include "client/cli/npy.h"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/array_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A file with this header text, as version 1, 2 or 3.
std::string File(const std::string& header, const std::string& data,
                 int version = 1) {
  std::string text = "\x93NUMPY";
  text.push_back(static_cast<char>(version));
  text.push_back('\0');
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    text.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xff));
  }
  return absl::StrCat(text, header, data);
}

std::string Header(const std::string& descr, const std::string& shape,
                   const std::string& fortran_order = "False") {
  return absl::StrCat("{'descr': '", descr,
                      "', 'fortran_order': ", fortran_order,
                      ", 'shape': ", shape, ", }   \n");
}

std::string Bytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(NpyTest, ReadsEveryVersion) {
  for (int version : {1, 2, 3}) {
    const auto array =
        ParseNpy(File(Header("<f4", "(2, 1)"), Bytes({1.5F, -2}), version));
    ASSERT_THAT(array, IsOk());
    EXPECT_EQ(array->dtype, v1::DTYPE_FLOAT32);
    EXPECT_THAT(array->shape, ElementsAre(2, 1));
    EXPECT_EQ(array->Number(0), 1.5);
    EXPECT_EQ(array->Number(1), -2);
  }
}

TEST(NpyTest, ReadsEveryElementType) {
  const std::string zeros(16, '\0');
  const std::vector<std::pair<std::string, v1::Dtype>> types = {
      {"<f2", v1::DTYPE_FLOAT16},  {"<f4", v1::DTYPE_FLOAT32},
      {"<f8", v1::DTYPE_FLOAT64},  {"<i4", v1::DTYPE_INT32},
      {"<i8", v1::DTYPE_INT64},    {"|b1", v1::DTYPE_BOOL},
      {"<V2", v1::DTYPE_BFLOAT16}, {"|V2", v1::DTYPE_BFLOAT16}};
  for (const auto& [descr, dtype] : types) {
    const auto array = ParseNpy(
        File(Header(descr, "(2,)"), zeros.substr(0, 2 * SizeOf(dtype))));
    ASSERT_THAT(array, IsOk()) << descr;
    EXPECT_EQ(array->dtype, dtype);
    EXPECT_THAT(array->shape, ElementsAre(2));
    EXPECT_EQ(array->Number(1), 0);
  }
}

TEST(NpyTest, ReadsHalfPrecision) {
  // 1, -2, 65504, the smallest denormal, infinity.
  const std::string data("\x00\x3c\x00\xc0\xff\x7b\x01\x00\x00\x7c", 10);
  const auto array = ParseNpy(File(Header("<f2", "(5,)"), data));
  ASSERT_THAT(array, IsOk());
  EXPECT_EQ(array->Number(0), 1);
  EXPECT_EQ(array->Number(1), -2);
  EXPECT_EQ(array->Number(2), 65504);
  EXPECT_EQ(array->Number(3), 0x1p-24);
  EXPECT_EQ(array->Number(4), std::numeric_limits<double>::infinity());
}

TEST(NpyTest, ReadsBfloat16) {
  // 1, -2, the largest, the smallest, infinity.
  const std::string data("\x80\x3f\x00\xc0\x7f\x7f\x01\x00\x80\x7f", 10);
  const auto array = ParseNpy(File(Header("<V2", "(5,)"), data));
  ASSERT_THAT(array, IsOk());
  EXPECT_EQ(array->Number(0), 1);
  EXPECT_EQ(array->Number(1), -2);
  EXPECT_EQ(array->Number(2), 0x1.fep127);
  EXPECT_EQ(array->Number(3), 0x1p-133);
  EXPECT_EQ(array->Number(4), std::numeric_limits<double>::infinity());
}

TEST(NpyTest, WritesEveryElementType) {
  for (int number = v1::DTYPE_FLOAT32; number <= v1::Dtype_MAX; ++number) {
    const auto dtype = static_cast<v1::Dtype>(number);
    Array array = Zeros(dtype, {3});
    array.data.front() = 1;
    const auto read = ParseNpy(FormatNpy(array));
    ASSERT_THAT(read, IsOk()) << v1::Dtype_Name(dtype);
    EXPECT_EQ(read->dtype, dtype);
    EXPECT_EQ(read->data, array.data);
  }
}

TEST(NpyTest, ReadsScalarsAndEmptyArrays) {
  const auto scalar = ParseNpy(File(Header("<f4", "()"), Bytes({3})));
  ASSERT_THAT(scalar, IsOk());
  EXPECT_TRUE(scalar->shape.empty());
  EXPECT_EQ(scalar->Size(), 1);
  const auto empty = ParseNpy(File(Header("<f4", "(3, 0)"), ""));
  ASSERT_THAT(empty, IsOk());
  EXPECT_EQ(empty->Size(), 0);
}

TEST(NpyTest, ReadsTheHeaderOfPython2) {
  EXPECT_THAT(ParseNpy(File(Header("<f4", "(2L, 1L)"), Bytes({1, 2}))), IsOk());
}

TEST(NpyTest, WritesWhatItReads) {
  Array array = Zeros(v1::DTYPE_FLOAT64, {2, 3, 1});
  const double value = 0.1;
  std::memcpy(array.data.data() + 40, &value, sizeof(value));
  for (const auto& shape :
       std::vector<std::vector<int64_t>>{{2, 3, 1}, {6}, {6, 1}}) {
    array.shape = shape;
    const std::string text = FormatNpy(array);
    const auto read = ParseNpy(text);
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(read->shape, shape);
    EXPECT_EQ(read->data, array.data);
    EXPECT_EQ((text.size() - array.data.size()) % 64, 0U);
  }
  EXPECT_THAT(ParseNpy(FormatNpy(Zeros(v1::DTYPE_FLOAT32, {}))), IsOk());
}

TEST(NpyTest, SaysWhatToDoAboutWhatItDoesNotRead) {
  const std::string data(16, '\0');
  EXPECT_THAT(ParseNpy(File(Header("<f8", "(1, 2)", "True"), data)),
              StatusIs(kInvalid, AllOf(HasSubstr("Fortran order"),
                                       HasSubstr("ascontiguousarray"))));
  EXPECT_THAT(ParseNpy(File(Header(">f8", "(2,)"), data)),
              StatusIs(kInvalid, AllOf(HasSubstr("big-endian"),
                                       HasSubstr("astype('<f8')"))));
  EXPECT_THAT(ParseNpy(File(Header("|O", "(2,)"), data)),
              StatusIs(kInvalid, HasSubstr("Python objects")));
  EXPECT_THAT(ParseNpy(File(Header("<U4", "(1,)"), data)),
              StatusIs(kInvalid, AllOf(HasSubstr("'<U4'"),
                                       HasSubstr("float32, float64"))));
  EXPECT_THAT(ParseNpy(File("{'descr': [('x', '<f8')], 'fortran_order': False, "
                            "'shape': (2,), }\n",
                            data)),
              StatusIs(kInvalid, HasSubstr("structured array")));
}

TEST(NpyTest, RefusesShapesThatDoNotFitTheFile) {
  const std::string data(16, '\0');
  for (const char* shape :
       {"(3,)", "(1,)", "(4294967296, 4294967296, 4294967296)",
        "(9223372036854775807,)", "(4611686018427387904, 4, 0)", "(-2,)",
        "(99999999999999999999,)", "2", "(2,", "('2',)"}) {
    EXPECT_THAT(ParseNpy(File(Header("<f8", shape), data)),
                StatusIs(kInvalid, HasSubstr("not a well-formed .npy")))
        << shape;
  }
}

TEST(NpyTest, RefusesHeadersThatAreNone) {
  for (const char* header :
       {"", "{", "{}", "{'descr'}", "{'descr': '<f8'}", "[1, 2]",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (0,)} more",
        "{'descr': '<f8', 'fortran_order': Maybe, 'shape': (0,)}",
        "{'descr': '<f8', 'fortran_order': False, 'colour': 'red'}"}) {
    EXPECT_THAT(ParseNpy(File(header, "")),
                StatusIs(kInvalid, HasSubstr("not a well-formed .npy")))
        << header;
  }
  EXPECT_THAT(ParseNpy("PK\x03\x04 a zip"),
              StatusIs(kInvalid, HasSubstr("does not begin with")));
  EXPECT_THAT(ParseNpy(File(Header("<f8", "(0,)"), "", 4)),
              StatusIs(kInvalid, HasSubstr("version is 4")));
}

TEST(NpyTest, RefusesEveryFileCutShort) {
  const std::string text = File(Header("<f4", "(2,)"), Bytes({1, 2}));
  ASSERT_THAT(ParseNpy(text), IsOk());
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_THAT(ParseNpy(text.substr(0, length)),
                StatusIs(kInvalid, testing::_))
        << length;
  }
  EXPECT_THAT(ParseNpy(text + "x"), StatusIs(kInvalid, HasSubstr("it has 9")));
}

// Whatever is accepted has as many bytes as it says: readers rely on it.
TEST(NpyTest, SurvivesEveryChangedByte) {
  const std::string text = File(Header("<f4", "(2, 1)"), Bytes({1, 2}), 2);
  for (size_t i = 0; i < text.size(); ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = text;
      changed[i] = static_cast<char>(value);
      const auto array = ParseNpy(changed);
      if (!array.ok()) continue;
      ASSERT_EQ(static_cast<size_t>(array->Size()) * SizeOf(array->dtype),
                array->data.size())
          << "byte " << i << " = " << value;
    }
  }
}

TEST(ArrayFileTest, ReadsRealFiles) {
  const auto logits =
      ReadArray("tests/data/digits_logits.npy", CsvElements::kFloat);
  ASSERT_THAT(logits, IsOk());
  EXPECT_THAT(logits->shape, ElementsAre(300, 10));
  const auto labels =
      ReadArray("tests/data/digits_labels.npy", CsvElements::kFloat);
  ASSERT_THAT(labels, IsOk());
  EXPECT_EQ(labels->dtype, v1::DTYPE_INT64);
}

TEST(ArrayFileTest, CsvAndNpyOfOneArrayAgree) {
  const auto npy =
      ReadArray("tests/data/diabetes_predictions.npy", CsvElements::kFloat);
  const auto csv =
      ReadArray("tests/data/diabetes_predictions.csv", CsvElements::kFloat);
  ASSERT_THAT(npy, IsOk());
  ASSERT_THAT(csv, IsOk());
  ASSERT_EQ(npy->shape, csv->shape);
  for (int64_t i = 0; i < npy->Size(); ++i) {
    EXPECT_EQ(static_cast<float>(csv->Number(i)),
              static_cast<float>(npy->Number(i)));
  }
}

TEST(ArrayFileTest, RefusesWhatIsNoArrayFile) {
  EXPECT_THAT(ReadArray("tests/data/README.md", CsvElements::kFloat),
              StatusIs(kInvalid, HasSubstr(".npy or .csv")));
  EXPECT_THAT(ReadArray("tests/data/missing.npy", CsvElements::kFloat),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("No such file or directory")));
  EXPECT_THAT(ReadFile("tests/data"),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("Is a directory")));
  EXPECT_THAT(WriteArray("out.txt", Array()),
              StatusIs(kInvalid, HasSubstr(".npy")));
  EXPECT_THAT(
      WriteArray("tests/data/missing/out.npy", Zeros(v1::DTYPE_FLOAT32, {1})),
      StatusIs(absl::StatusCode::kPermissionDenied,
               HasSubstr("cannot be written")));
}

TEST(ArrayFileTest, KnowsAFileUnderItsOtherNames) {
  const std::string folder = ::testing::TempDir() + "/lossctl_same";
  std::filesystem::create_directories(folder);
  const std::string file = folder + "/file.npy";
  ASSERT_THAT(WriteArray(file, Zeros(v1::DTYPE_FLOAT32, {1})), IsOk());
  std::filesystem::create_symlink(file, folder + "/link.npy");
  std::filesystem::create_hard_link(file, folder + "/hard.npy");
  std::filesystem::create_symlink(folder, folder + "/folder");
  EXPECT_TRUE(SameFile(file, folder + "/link.npy"));
  EXPECT_TRUE(SameFile(file, folder + "/hard.npy"));
  EXPECT_TRUE(SameFile(file, folder + "/folder/file.npy"));
  EXPECT_FALSE(SameFile(file, folder + "/new.npy"));
  EXPECT_TRUE(SameFile(folder + "/new.npy", folder + "/folder/./new.npy"));
  EXPECT_TRUE(SameFile("new.npy", "./new.npy"));
  EXPECT_TRUE(
      SameFile("new.npy", std::filesystem::absolute("new.npy").string()));
  EXPECT_FALSE(SameFile("new.npy", "other.npy"));
  std::filesystem::remove_all(folder);
}

TEST(ArrayFileTest, CheckingAnOutputLeavesNoTrace) {
  const std::string path = ::testing::TempDir() + "/lossctl_output.npy";
  std::filesystem::remove(path);
  EXPECT_THAT(CheckOutput(path), IsOk());
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_THAT(WriteArray(path, Zeros(v1::DTYPE_FLOAT32, {3})), IsOk());
  const std::string written = *ReadFile(path);
  EXPECT_THAT(CheckOutput(path), IsOk());
  EXPECT_EQ(*ReadFile(path), written);
  std::filesystem::remove(path);
}

TEST(ArrayFileTest, OutputsWithoutAFolderToLieInAreRefused) {
  constexpr auto kDenied = absl::StatusCode::kPermissionDenied;
  EXPECT_THAT(CheckOutput("here.npy"), IsOk());
  EXPECT_THAT(CheckOutput("tests/missing/out.npy"),
              StatusIs(kDenied, HasSubstr("No such file or directory")));
  EXPECT_THAT(CheckOutput("tests/data/README.md/out.npy"),
              StatusIs(kDenied, HasSubstr("Not a directory")));
}

}  // namespace
}  // namespace lossd::cli
