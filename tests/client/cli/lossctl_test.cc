#include "client/cli/lossctl.h"

#include <cmath>
#include <filesystem>
#include <ios>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/session.h"
#include "client/cli/table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/run_lossctl.h"
#include "tests/client/fake_server.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// A command line that cannot be used, and what is said of it.
void ExpectUsageError(const std::string& line, const std::string& message) {
  const Outcome run = Lossctl(line);
  EXPECT_EQ(run.exit_code, kUsage) << line;
  EXPECT_THAT(run.err, AllOf(StartsWith("lossctl: "), HasSubstr(message)))
      << line;
  EXPECT_THAT(run.out, IsEmpty()) << line;
}

constexpr char kFiles[] =
    " --predictions tests/data/diabetes_predictions.npy"
    " --targets tests/data/diabetes_targets.npy";

TEST(LossctlTest, BadCommandLinesSayWhatIsWrong) {
  ExpectUsageError("", "no subcommand given, allowed: list, describe, ");
  ExpectUsageError("paint",
                   "unknown subcommand 'paint', allowed: list, describe, ");
  ExpectUsageError("--server nowhere paint --colour red",
                   "unknown subcommand 'paint'");
  ExpectUsageError("--colour red health", "--colour: no flag of health");
  ExpectUsageError("--colour", "--colour: no flag of lossctl");
  ExpectUsageError("health info", "'info' is not expected");
  ExpectUsageError("health --colour red", "--colour: no flag of health");
  ExpectUsageError("health now", "'now' is not expected");
  ExpectUsageError("health --format xml", "--format");
  for (const char* timeout : {"0", "-1", "nan", "inf", "1e300", "soon"}) {
    ExpectUsageError(absl::StrCat("health --timeout ", timeout),
                     absl::StrCat("--timeout: got ", timeout,
                                  ", allowed: > 0 and <= 1e+09"));
  }
  ExpectUsageError("compute --loss mse", "--predictions is required");
  ExpectUsageError(std::string("compute") + kFiles, "--loss is required");
}

TEST(LossctlTest, BadValuesNameTheFlag) {
  const std::string huber = std::string("compute --loss huber") + kFiles;
  ExpectUsageError(huber + " --delta wide", "--delta: got 'wide'");
  ExpectUsageError(huber + " --reduction average",
                   "--reduction: got 'average', allowed: NONE, SUM, MEAN");
  ExpectUsageError(huber + " --semantics excel", "--semantics: got 'excel'");
  ExpectUsageError(huber + " --normalizer many", "--normalizer");
  ExpectUsageError(huber + " --gradient_dtype int32",
                   "--gradient_dtype: got 'int32', allowed: float32, float64, "
                   "float16, bfloat16");
  ExpectUsageError(huber + " --gradient_out g.txt", "--gradient_out g.txt: ");
  ExpectUsageError(huber + " --mask missing.npy", "--mask missing.npy: ");
  ExpectUsageError(huber + " --extra_inputs c.npy",
                   "--extra_inputs: got 'c.npy', allowed: NAME=FILE");
  ExpectUsageError(std::string("compute --loss hubert") + kFiles,
                   "--loss: unknown loss 'hubert'");
  ExpectUsageError(std::string("compute --loss triplet --swap 1") + kFiles,
                   "--swap: got '1', allowed: true or false");
  ExpectUsageError(std::string("compute --loss multi_margin --p 1.5") + kFiles,
                   "--p: got '1.5', allowed: a whole number");
  ExpectUsageError(std::string("compare --sweep colour=1") + kFiles,
                   "--sweep: no loss has the option 'colour'");
  ExpectUsageError("verify --cases missing.json", "--cases missing.json: ");
}

TEST(LossctlTest, OutputsThatCannotBeWrittenAreFoundBeforeAsking) {
  const std::string huber = absl::StrCat(
      "compute --loss huber --server unix:/nonexistent/socket", kFiles);
  const std::string folder = ::testing::TempDir() + "/lossctl_folder.npy";
  std::filesystem::create_directories(folder);
  for (const char* flag : {" --gradient_out ", " --row_losses_out "}) {
    ExpectUsageError(
        absl::StrCat(huber, flag, "tests/missing/g.npy"),
        absl::StrCat(flag + 1, "tests/missing/g.npy: cannot be written: No "));
    ExpectUsageError(absl::StrCat(huber, flag, folder), "Is a directory");
  }
  std::filesystem::remove(folder);
  ExpectUsageError(huber + " --gradient_out a.npy --row_losses_out a.npy",
                   "--row_losses_out: got a.npy, allowed: another file");
}

TEST(LossctlTest, EmptyValuesAreRefused) {
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(RunLossctl({"compute", "--loss", "huber", "--predictions", "",
                        "--targets", "t.npy"},
                       out, err),
            kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--predictions: must not be empty"));
  err.str("");
  EXPECT_EQ(RunLossctl({"compute", "--loss", "huber", "--delta", "",
                        "--predictions", "p.npy", "--targets", "t.npy"},
                       out, err),
            kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--delta: must not be empty"));
}

TEST(LossctlTest, OptionsAreFlagsOfTheirLossOnly) {
  ExpectUsageError(std::string("compute --loss hinge --delta 1") + kFiles,
                   "--delta: no option of hinge, which has --label_encoding");
  ExpectUsageError(std::string("compute --loss=mse --delta=1") + kFiles,
                   "--delta: no option of mean_squared_error, which has none");
  ExpectUsageError(std::string("compute --loss hubert --delta 1") + kFiles,
                   "--loss: unknown loss 'hubert'");
}

TEST(LossctlTest, HelpGoesToTheOutput) {
  const Outcome general = Lossctl("--help");
  EXPECT_EQ(general.exit_code, kOk);
  EXPECT_THAT(general.out, AllOf(HasSubstr("compute"), HasSubstr("--server"),
                                 HasSubstr("LOSSD_SERVER")));
  const Outcome compute = Lossctl("compute --help");
  EXPECT_THAT(compute.out,
              AllOf(HasSubstr("--reduction"), HasSubstr("--loss NAME --help"),
                    Not(HasSubstr("--delta"))));
  const Outcome huber = Lossctl("compute --loss huber --help");
  EXPECT_EQ(huber.exit_code, kOk);
  EXPECT_THAT(huber.out,
              AllOf(HasSubstr("Options of huber"), HasSubstr("--delta"),
                    HasSubstr("default 1"), HasSubstr("> 0")));
  const Outcome scce = Lossctl("compute --loss scce --help");
  EXPECT_THAT(scce.out,
              AllOf(HasSubstr("--ignore_index"), HasSubstr("--class_weights"),
                    HasSubstr("LOG_PROBABILITIES")));
}

TEST(LossctlTest, OutputThatIsLostIsAFailure) {
  std::ostringstream out;
  std::ostringstream err;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(RunLossctl({"--help"}, out, err), kFailed);
  EXPECT_THAT(err.str(), HasSubstr("output could not be written"));
}

TEST(LossctlTest, ServersThatDoNotAnswerAreFailedRequests) {
  const std::string compute = std::string("compute --loss mse") + kFiles;
  for (const std::string& command :
       {std::string("health"), std::string("info"), std::string("list"),
        std::string("describe mse"), compute, std::string("compare") + kFiles,
        std::string("verify --cases tests/data/cases.json")}) {
    const Outcome run = Lossctl(command + " --server unix:/nonexistent/socket");
    EXPECT_EQ(run.exit_code, kFailed) << command;
    EXPECT_THAT(run.err, AllOf(StartsWith("lossctl: UNAVAILABLE"),
                               HasSubstr("/nonexistent/socket")))
        << command;
  }
}

TEST(LossctlTest, GlobalFlagsMayStandBeforeTheSubcommand) {
  EXPECT_EQ(Lossctl("--server unix:/nonexistent/socket health").exit_code,
            kFailed);
}

TEST(LossctlTest, ChooseAsksNoServer) {
  const Outcome run =
      Lossctl(std::string("choose --server unix:/nonexistent") + kFiles);
  EXPECT_EQ(run.exit_code, kOk) << run.err;
  EXPECT_THAT(
      run.out,
      AllOf(HasSubstr("mean_squared_error"), HasSubstr("not         huber"),
            HasSubstr(std::string("lossctl compute --loss mean_squared_error") +
                      kFiles)));
}

TEST(LossctlTest, ChooseSpeaksJson) {
  const Outcome run = Lossctl(
      "choose --format json --predictions tests/data/digits_logits.npy "
      "--targets tests/data/digits_labels.npy");
  ASSERT_EQ(run.exit_code, kOk) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["loss"], "sparse_categorical_cross_entropy");
  EXPECT_EQ(json["rule"], "integer labels");
  EXPECT_EQ(json["options"][0]["value"], "LOGITS");
}

TEST(LossctlTest, TheCommandOfChooseIsQuotedForTheShell) {
  const std::string path = ::testing::TempDir() + "/lossctl it's.npy";
  std::filesystem::copy_file("tests/data/diabetes_predictions.npy", path,
                             std::filesystem::copy_options::overwrite_existing);
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(RunLossctl({"choose", "--predictions", path, "--targets",
                        "tests/data/diabetes_targets.npy"},
                       out, err),
            kOk)
      << err.str();
  std::filesystem::remove(path);
  EXPECT_THAT(out.str(),
              HasSubstr(absl::StrCat(" --predictions '", ::testing::TempDir(),
                                     "/lossctl it'\\''s.npy' --targets "
                                     "tests/data/diabetes_targets.npy")));
}

// A server that is older than lossctl does not have every loss.
TEST(CompareTest, LossesThatTheServerDoesNotHaveDoNotFit) {
  test::FakeServer server;
  server.edit = [&server](v1::ComputeResponse* response) {
    if (server.requests().back().items(0).loss().has_huber()) return;
    v1::LossResult* result = response->mutable_results(0);
    result->Clear();
    result->mutable_status()->set_code(12);
    result->mutable_status()->set_message("not served");
  };
  const Outcome run = Lossctl(
      absl::StrCat("compare --format json --server ", server.target(), kFiles));
  ASSERT_EQ(run.exit_code, kOk) << run.err;
  const auto json = nlohmann::json::parse(run.out);
  ASSERT_EQ(json["losses"].size(), 1U);
  EXPECT_EQ(json["losses"][0]["name"], "huber");
  EXPECT_EQ(json["misfits"].back().contains("why_not"), true);
  EXPECT_THAT(run.out, HasSubstr("UNIMPLEMENTED: not served"));
}

TEST(TableTest, AlignsColumns) {
  Table table({{"name"}, {"value", Table::Align::kRight}});
  table.AddRow({"a", "1"});
  table.AddRow({"longer", "123456"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "name     value\n"
            "a            1\n"
            "longer  123456\n");
}

TEST(TableTest, NumbersThatAreNoneAreDashes) {
  EXPECT_EQ(PercentText(0.12345), "12.3 %");
  EXPECT_EQ(PercentText(NAN), "-");
  EXPECT_EQ(NumberText(0.125), "0.125");
  EXPECT_EQ(NumberText(NAN), "-");
}

TEST(TableTest, WrapsAtEightyColumns) {
  const std::string word(30, 'x');
  EXPECT_EQ(Wrap(word + " " + word + " " + word, 4),
            word + " " + word + "\n    " + word);
}

}  // namespace
}  // namespace lossd::cli
