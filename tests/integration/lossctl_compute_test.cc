// `lossctl compute`, the program, against lossd, the program.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/array_file.h"
#include "client/cli/verify_cases.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/lossctl_program.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST_F(LossctlTest, ComputeWritesGradientAndRowLosses) {
  const Json json = LossctlJson(
      absl::StrCat("compute --loss huber --delta 50", kDiabetes,
                   " --gradient_out ", Path("g.npy"), " --row_losses_out ",
                   Path("r.npy"), " --gradient_dtype float64"));
  EXPECT_EQ(json["row_count"], 221);
  EXPECT_EQ(json["loss_in_force"]["huber"]["delta"], 50);
  const auto gradient = ReadArray(Path("g.npy"), CsvElements::kFloat);
  ASSERT_THAT(gradient, IsOk());
  EXPECT_EQ(gradient->dtype, v1::DTYPE_FLOAT64);
  const auto expected = ReadArray(
      "tests/data/expected/huber_delta_50_gradient.npy", CsvElements::kFloat);
  ASSERT_THAT(expected, IsOk());
  EXPECT_LE(GradientDifference(*gradient, *expected), kGradientTolerance);
  const auto row_losses = ReadArray(Path("r.npy"), CsvElements::kFloat);
  ASSERT_THAT(row_losses, IsOk());
  EXPECT_THAT(row_losses->shape, ElementsAre(221));
  double sum = 0;
  for (int64_t i = 0; i < 221; ++i) sum += row_losses->Number(i);
  // 221 additions lose at most 2^-53 each of a sum that only grows.
  const double loss_sum = json["loss_sum"];
  EXPECT_NEAR(sum, loss_sum, 442 * 0x1p-53 * loss_sum);
}

// The same from a server to which it must go in chunks, where the last element
// is refused like any other.
TEST_F(LossctlTest, ComputeTakesArraysLargerThanAMessage) {
  const ServerProcess small({"--max_message_bytes", "1048576"});
  std::vector<float> values(300000);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i % 1009) / 7;
  }
  const std::string line = absl::StrCat(
      "compute --loss mse --predictions ",
      WriteFloats("p.npy", {300000}, values), " --targets ",
      WriteFloats("t.npy", {300000}, std::vector<float>(300000, 3)),
      " --gradient_out ");
  EXPECT_EQ(LossctlJson(line + Path("chunked.npy"), small.address()),
            LossctlJson(line + Path("whole.npy")));
  const auto chunked = ReadArray(Path("chunked.npy"), CsvElements::kFloat);
  const auto whole = ReadArray(Path("whole.npy"), CsvElements::kFloat);
  ASSERT_THAT(chunked, IsOk());
  ASSERT_THAT(whole, IsOk());
  EXPECT_TRUE(chunked->data == whole->data);

  values.back() = INFINITY;
  WriteFloats("p.npy", {300000}, values);
  const Outcome refused = Lossctl(line + Path("g.npy"), small.address());
  EXPECT_EQ(refused.exit_code, 1);
  std::string err = Lossctl(line + Path("g.npy")).err;
  err.pop_back();
  EXPECT_THAT(refused.err, StartsWith(err));
}

// The option is fine; it is the size that is not.
TEST_F(LossctlTest, ComputeSaysThatALossDoesNotGoInChunks) {
  const ServerProcess small({"--max_message_bytes", "1048576"});
  const std::vector<float> values(300000, 0.5F);
  const Outcome refused = Lossctl(
      absl::StrCat("compute --loss dice --prediction_kind probabilities "
                   "--scope batch --predictions ",
                   WriteFloats("p.npy", {1000, 300}, values), " --targets ",
                   WriteFloats("t.npy", {1000, 300}, values)),
      small.address());
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("in a stream"),
                                 HasSubstr("message limit of 1048576 bytes")));
}

TEST_F(LossctlTest, ComputeTakesCsv) {
  const Json csv = LossctlJson(absl::StrCat(
      "compute --loss mse --predictions tests/data/diabetes_predictions.csv "
      "--targets tests/data/diabetes_targets.csv --gradient_out ",
      Path("csv.npy")));
  EXPECT_LE(RelativeDifference(csv["loss"], 2988.0508685080476), 1e-14);
  const auto gradient = ReadArray(Path("csv.npy"), CsvElements::kFloat);
  ASSERT_THAT(gradient, IsOk());
  EXPECT_EQ(gradient->dtype, v1::DTYPE_FLOAT64);
}

TEST_F(LossctlTest, ComputeTakesEveryFurtherTensor) {
  const std::string bce =
      absl::StrCat("compute --loss bce --prediction_kind logits", kCancer);
  const Json weighted = LossctlJson(
      bce +
      " --sample_weights tests/data/breast_cancer_sample_weights.npy"
      " --reduction weighted_mean");
  EXPECT_EQ(weighted["reduction"], "WEIGHTED_MEAN");
  EXPECT_NE(weighted["weight_sum"], 284);

  std::ofstream mask(Path("mask.csv"));
  for (int i = 0; i < 284; ++i) mask << (i < 100 ? "0\n" : "1\n");
  mask.close();
  const Json masked =
      LossctlJson(absl::StrCat(bce, " --mask ", Path("mask.csv"),
                               " --normalizer 10 --semantics strict"));
  EXPECT_EQ(masked["masked_count"], 100);
  EXPECT_EQ(masked["normalizer"], 10);

  const double plain = LossctlJson(bce)["gradient_norm"];
  const double doubled = LossctlJson(
      absl::StrCat(bce, " --upstream_gradient ",
                   WriteFloats("u.npy", {1}, {2})))["gradient_norm"];
  EXPECT_EQ(doubled, 2 * plain);

  const Json option = LossctlJson(bce + " --pos_weight 3");
  const Json vector = LossctlJson(absl::StrCat(
      bce, " --extra_inputs pos_weight=", WriteFloats("p.npy", {1}, {3})));
  EXPECT_EQ(vector["loss"], option["loss"]);

  const std::string weights =
      WriteFloats("c.npy", {10}, {0, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  const Json classes =
      LossctlJson(absl::StrCat("compute --loss scce --prediction_kind logits",
                               kDigits, " --class_weights ", weights));
  EXPECT_LT(classes["weight_sum"], 300);
}

TEST_F(LossctlTest, SemanticsFillInWhatIsUnset) {
  const std::string weights =
      WriteFloats("c.npy", {10}, {0, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  const Json json =
      LossctlJson(absl::StrCat("compute --loss scce --semantics pytorch",
                               kDigits, " --class_weights ", weights));
  EXPECT_EQ(json["semantics"], "PYTORCH");
  EXPECT_EQ(json["reduction"], "WEIGHTED_MEAN");
  const Json& options =
      json["loss_in_force"]["sparse_categorical_cross_entropy"];
  EXPECT_EQ(options["prediction_kind"], "LOGITS");
  EXPECT_EQ(options["ignore_index"], -100);
}

TEST_F(LossctlTest, RowLossesOfPytorchAreThoseOfElements) {
  const std::string files = absl::StrCat(
      " --predictions ", WriteFloats("p.npy", {2, 2}, {1, 2, 3, NAN}),
      " --targets ", WriteFloats("t.npy", {2, 2}, {0, 0, 0, 0}),
      " --row_losses_out ", Path("r.npy"));
  const Json json =
      LossctlJson("compute --loss mse --semantics pytorch" + files);
  // NaN, which propagates.
  EXPECT_TRUE(json["loss"].is_null());
  EXPECT_EQ(json["row_count"], 4);
  const auto rows = ReadArray(Path("r.npy"), CsvElements::kFloat);
  ASSERT_THAT(rows, IsOk());
  EXPECT_THAT(rows->shape, ElementsAre(2, 2));
  EXPECT_EQ(rows->Number(2), 9);
  EXPECT_TRUE(std::isnan(rows->Number(3)));
}

TEST_F(LossctlTest, DiagnosticsOnRequest) {
  const std::string line =
      absl::StrCat("compute --loss scce --prediction_kind logits", kDigits);
  EXPECT_TRUE(LossctlJson(line)["diagnostics"].empty());
  const Json figures = LossctlJson(line + " --diagnostics")["diagnostics"];
  EXPECT_GT(figures["accuracy"], 0.5);
  EXPECT_GE(figures["perplexity"], 1);
  EXPECT_THAT(Lossctl(line + " --diagnostics").out, HasSubstr("\naccuracy "));
}

TEST_F(LossctlTest, TopKTargets) {
  std::ofstream(Path("k.csv")) << "1,0\n";
  std::ofstream(Path("t.csv")) << "0.75,0.25\n";
  std::ofstream(Path("p.csv")) << "1,2,0.5\n";
  const Json json = LossctlJson(
      absl::StrCat("compute --loss cce --prediction_kind logits --predictions ",
                   Path("p.csv"), " --targets ", Path("t.csv"),
                   " --target_indices ", Path("k.csv")));
  // The worked example of the proto, of twelve digits.
  EXPECT_NEAR(json["loss"], 0.714368784108, 5e-13);
}

TEST_F(LossctlTest, HalfTypesAreComputed) {
  // 1, 2, 3, 4 and their halves.
  const std::vector<uint16_t> bits = {0x3c00, 0x4000, 0x4200, 0x4400};
  Array predictions = Zeros(v1::DTYPE_FLOAT16, {4});
  std::memcpy(predictions.data.data(), bits.data(), 8);
  EXPECT_THAT(WriteArray(Path("p.npy"), predictions), IsOk());
  const Json json = LossctlJson(
      absl::StrCat("compute --loss mse --predictions ", Path("p.npy"),
                   " --targets ", WriteFloats("t.npy", {4}, {0.5, 1, 1.5, 2}),
                   " --gradient_out ", Path("g.npy")));
  EXPECT_EQ(json["loss"], (0.25 + 1 + 2.25 + 4) / 4);
  const auto gradient = ReadArray(Path("g.npy"), CsvElements::kFloat);
  ASSERT_THAT(gradient, IsOk());
  EXPECT_EQ(gradient->dtype, v1::DTYPE_FLOAT16);
  EXPECT_EQ(gradient->Number(3), 1);
}

TEST_F(LossctlTest, ThereIsNoSingleValueOfNone) {
  const std::string line =
      absl::StrCat("compute --loss mae --reduction none", kDiabetes);
  EXPECT_TRUE(LossctlJson(line)["loss"].is_null());
  EXPECT_THAT(Lossctl(line).out, HasSubstr("loss              -\n"));
}

TEST_F(LossctlTest, WarningsArePrinted) {
  std::ofstream(Path("t.csv")) << "0\n0\n";
  const std::string line = absl::StrCat(
      "compute --loss scce --prediction_kind logits --predictions ",
      WriteFloats("p.npy", {2, 1}, {1, 2}), " --targets ", Path("t.csv"));
  EXPECT_THAT(Lossctl(line).out, HasSubstr("\nwarning: there is only one"));
  EXPECT_EQ(LossctlJson(line)["warnings"].size(), 1U);
}

TEST_F(LossctlTest, RefusalsNameTheFlag) {
  ExpectRefused(absl::StrCat("compute --loss huber --delta -1", kDiabetes),
                "--delta: got -1, allowed: ");
  ExpectRefused(absl::StrCat("compute --loss bce", kCancer),
                "--prediction_kind: got ");
  ExpectRefused(
      absl::StrCat("compute --loss mse --reduction sum --normalizer 3",
                   kDiabetes),
      "--normalizer: got 3");
  ExpectRefused(absl::StrCat("compute --loss mse --extra_inputs colour=",
                             WriteFloats("x.npy", {1}, {2}), kDiabetes),
                "--extra_inputs colour=");
  ExpectRefused(
      "compute --loss importance_sampling --predictions "
      "tests/data/diabetes_predictions.npy",
      "--extra_inputs old_log_probabilities: got nothing");
}

TEST_F(LossctlTest, AnExtraInputHasOneFile) {
  const std::string input =
      absl::StrCat(" --extra_inputs variance=", WriteFloats("x.npy", {1}, {2}));
  const Outcome outcome = Lossctl(
      absl::StrCat("compute --loss gaussian_nll", input, input, kDiabetes));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err,
            "lossctl: --extra_inputs variance: got two files, allowed: one\n");
}

TEST_F(LossctlTest, RefusalsNameFileRowAndColumn) {
  const std::string predictions = WriteFloats("p.npy", {2, 2}, {1, 2, 3, NAN});
  const std::string targets = WriteFloats("t.npy", {2, 2}, {1, 2, 3, 4});
  const std::string column = WriteFloats("column.npy", {4, 1}, {1, 2, 3, 4});
  const std::string gradient = Path("g.npy");
  ExpectRefused(
      absl::StrCat("compute --loss mse --predictions ", predictions,
                   " --targets ", targets, " --gradient_out ", gradient),
      absl::StrCat("--predictions ", predictions,
                   ": element 3 (row 1, column 1): got nan, allowed: "));
  EXPECT_FALSE(std::filesystem::exists(gradient));
  ExpectRefused(absl::StrCat("compute --loss mse --predictions ", targets,
                             " --targets ", column),
                absl::StrCat("--targets ", column, ": shape: got [4, 1], "));
}

TEST_F(LossctlTest, RefusedCallsLeaveOldOutputsAlone) {
  const std::string old = WriteFloats("g.npy", {1}, {7});
  const std::string content = *ReadFile(old);
  ExpectRefused(absl::StrCat("compute --loss huber --delta -1", kDiabetes,
                             " --gradient_out ", old, " --row_losses_out ",
                             Path("r.npy")),
                "--delta: got -1");
  EXPECT_EQ(*ReadFile(old), content);
  EXPECT_FALSE(std::filesystem::exists(Path("r.npy")));
}

TEST_F(LossctlTest, OutputsThatDoNotFitOnTheDiskAreFailures) {
  std::filesystem::create_symlink("/dev/full", Path("g.npy"));
  const Outcome outcome = Lossctl(absl::StrCat(
      "compute --loss mse", kDiabetes, " --gradient_out ", Path("g.npy")));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err,
              AllOf(StartsWith("lossctl: DATA_LOSS: --gradient_out "),
                    HasSubstr("No space left on device")));
  EXPECT_THAT(outcome.out, IsEmpty());
}

}  // namespace
}  // namespace lossd::cli
