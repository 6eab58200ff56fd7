// lossctl, the program, against lossd, the program.

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/array_file.h"
#include "client/cli/options_reflection.h"
#include "client/cli/verify_cases.h"
#include "client/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

using Json = nlohmann::json;

constexpr char kDiabetes[] =
    " --predictions tests/data/diabetes_predictions.npy"
    " --targets tests/data/diabetes_targets.npy";
constexpr char kCancer[] =
    " --predictions tests/data/breast_cancer_logits.npy"
    " --targets tests/data/breast_cancer_labels.npy";
constexpr char kDigits[] =
    " --predictions tests/data/digits_logits.npy"
    " --targets tests/data/digits_labels.npy";

// Starts bin/PROGRAM with the file descriptors as its output and errors.
pid_t Start(const std::string& program, const std::vector<std::string>& words,
            int out, int err) {
  const std::string path = absl::StrCat(LOSSD_BIN_DIR, "/", program);
  std::vector<std::string> arguments = {program};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, path.c_str(), &actions, nullptr,
                                pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << path << ": " << std::strerror(error);
  return error == 0 ? pid : -1;
}

// Exit code of a program of ours, 128 and more if a signal ended it.
int Wait(pid_t pid) {
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// A lossd on a free port, from construction to destruction.
class ServerProcess {
 public:
  explicit ServerProcess(const std::vector<std::string>& flags = {}) {
    std::array<int, 2> ends = {};
    EXPECT_EQ(pipe(ends.data()), 0);
    std::vector<std::string> words = {
        "--listen", "127.0.0.1:0", "--metrics_listen", "", "--threads", "2"};
    words.insert(words.end(), flags.begin(), flags.end());
    pid_ = Start("lossd", words, ends[1], STDERR_FILENO);
    close(ends[1]);
    log_ = fdopen(ends[0], "r");
    // Ends at the line, or, if lossd does not start, at the end of the pipe.
    std::array<char, 4096> line = {};
    while (address_.empty() &&
           fgets(line.data(), static_cast<int>(line.size()), log_) != nullptr) {
      const Json json = Json::parse(line.data(), nullptr, false);
      if (json.is_object() && json.value("event", "") == "serving") {
        address_ = json["listen"][0];
      }
    }
    EXPECT_FALSE(address_.empty()) << "lossd did not say that it serves";
  }
  ~ServerProcess() {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      EXPECT_EQ(Wait(pid_), 0);
    }
    fclose(log_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }

 private:
  pid_t pid_ = -1;
  FILE* log_ = nullptr;
  std::string address_;
};

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class LossctlTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new ServerProcess; }
  static void TearDownTestSuite() { delete server_; }

  LossctlTest() : folder_(::testing::TempDir() + "/lossctl_XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
  }
  ~LossctlTest() override { std::filesystem::remove_all(folder_); }

  // A file in this test's own folder.
  std::string Path(const std::string& name) const {
    return absl::StrCat(folder_, "/", name);
  }

  // Writes a .npy file of float32 and returns its path.
  std::string WriteFloats(const std::string& name, std::vector<int64_t> shape,
                          const std::vector<float>& values) const {
    Array array = Zeros(v1::DTYPE_FLOAT32, std::move(shape));
    std::memcpy(array.data.data(), values.data(), array.data.size());
    EXPECT_THAT(WriteArray(Path(name), array), IsOk());
    return Path(name);
  }

  // Where the tests' server listens.
  static const std::string& address() { return server_->address(); }

  // Runs `lossctl LINE`, words separated by spaces, against the server.
  Outcome Lossctl(const std::string& line) const {
    return Lossctl(line, address());
  }
  Outcome Lossctl(const std::string& line, const std::string& address) const {
    std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    words.insert(words.end(), {"--server", address});
    FILE* const out = fopen(Path("out").c_str(), "w+");
    FILE* const err = fopen(Path("err").c_str(), "w+");
    Outcome outcome;
    outcome.exit_code = Wait(Start("lossctl", words, fileno(out), fileno(err)));
    fclose(out);
    fclose(err);
    outcome.out = ReadFile(Path("out")).value_or("");
    outcome.err = ReadFile(Path("err")).value_or("");
    return outcome;
  }

  // The same with --format json; fails the test unless it succeeds.
  Json LossctlJson(const std::string& line) const {
    return LossctlJson(line, address());
  }
  Json LossctlJson(const std::string& line, const std::string& address) const {
    const Outcome outcome = Lossctl(line + " --format json", address);
    EXPECT_EQ(outcome.exit_code, 0) << line << '\n' << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }

  // Expects that the server refuses `lossctl LINE`.
  void ExpectRefused(const std::string& line,
                     const std::string& message) const {
    const Outcome outcome = Lossctl(line);
    EXPECT_EQ(outcome.exit_code, 1) << line;
    EXPECT_THAT(outcome.err, StartsWith("lossctl: " + message)) << line;
    EXPECT_THAT(outcome.out, IsEmpty()) << line;
  }

 private:
  static ServerProcess* server_;
  std::string folder_;
};

ServerProcess* LossctlTest::server_ = nullptr;

TEST_F(LossctlTest, Health) {
  const Outcome outcome = Lossctl("health");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("serves"));
  EXPECT_EQ(LossctlJson("health")["serving"], true);
}

TEST_F(LossctlTest, Info) {
  const Json info = LossctlJson("info");
  const std::string streams = info["streams"] ? "yes" : "no";
  EXPECT_THAT(Lossctl("info").out,
              AllOf(HasSubstr("numerics_version"),
                    ContainsRegex(absl::StrCat("\nstreams +", streams, "\n"))));
  EXPECT_EQ(info["compute_threads"], 2);
  EXPECT_EQ(info["limits"]["max_items"], 16384);
}

TEST_F(LossctlTest, ListGroupsByTask) {
  const std::string text = Lossctl("list").out;
  EXPECT_LT(text.find("regression"), text.find("huber"));
  EXPECT_LT(text.find("huber"), text.find("binary\n"));
  EXPECT_EQ(LossctlJson("list")["losses"].size(), 9U);
}

TEST_F(LossctlTest, DescribeTakesShortNames) {
  const Outcome outcome = Lossctl("describe bce");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("binary_cross_entropy"), HasSubstr("use when"),
                    HasSubstr("--pos_weight: double > 0; default 1"),
                    HasSubstr("LOGITS, PROBABILITIES"),
                    HasSubstr("over the last axis; rows are independent"),
                    HasSubstr("targets: as predictions; float32, "),
                    HasSubstr("pos_weight (optional): [D]; float32, ")));
  const Json delta = LossctlJson("describe huber")["options"][0];
  EXPECT_EQ(delta["name"], "delta");
  EXPECT_EQ(delta["minimum"], 0);
  EXPECT_FALSE(delta.contains("maximum"));
  const Outcome unknown = Lossctl("describe hubert");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("allowed: mean_squared_error"));
}

// Both sides work out the short names of enums for themselves: from what is
// linked here and from what is linked there.
TEST_F(LossctlTest, OptionsAreThoseOfTheServer) {
  const auto client = Client::Connect(address());
  ASSERT_THAT(client, IsOk());
  const auto losses = client->ListLosses();
  ASSERT_THAT(losses, IsOk());
  EXPECT_EQ(losses->size(), AllLosses().size());
  int choices = 0;
  for (const v1::LossInfo& info : *losses) {
    const auto loss = MakeLoss(info.name());
    ASSERT_THAT(loss, IsOk());
    const std::vector<v1::OptionInfo> options = OptionsOf(*loss);
    ASSERT_EQ(static_cast<int>(options.size()), info.options_size());
    for (int i = 0; i < info.options_size(); ++i) {
      const v1::OptionInfo& option = info.options(i);
      EXPECT_EQ(options[static_cast<size_t>(i)].DebugString(),
                option.DebugString());
      EXPECT_EQ(option.allowed_values_size() > 0, option.type() == "enum");
      for (const std::string& value : option.allowed_values()) {
        ++choices;
        v1::Loss chosen = *loss;
        EXPECT_THAT(SetOption(option.name(), value, &chosen), IsOk());
        EXPECT_EQ(OptionText(chosen, option.name()), value);
        // lossd reads the option before it misses the tensors.
        LossCall call;
        call.loss.mutable_named()->set_name(info.name());
        auto& fields = *call.loss.mutable_named()->mutable_options();
        (*fields.mutable_fields())[option.name()].set_string_value(value);
        const auto refused = ViolationsOf(client->Compute(call).status());
        ASSERT_EQ(refused.size(), 1U);
        EXPECT_EQ(refused[0].field(), "predictions") << value;
      }
    }
  }
  EXPECT_GT(choices, 0);
}

TEST_F(LossctlTest, VerifyAgreesWithTheStoredCases) {
  const Outcome all = Lossctl("verify --all --cases tests/data/cases.json");
  EXPECT_EQ(all.exit_code, 0) << all.out << all.err;
  const Json json = LossctlJson("verify --cases tests/data/cases.json");
  EXPECT_EQ(json["passed"], 9);
  EXPECT_EQ(json["failed"], 0);
  EXPECT_EQ(json["cases"][0]["row_count"], 221);
}

TEST_F(LossctlTest, VerifyNoticesWhatDoesNotAgree) {
  const std::string data = std::filesystem::absolute("tests/data").string();
  const Json right = {
      {"id", "right"},
      {"loss", "mse"},
      {"options", Json::object()},
      {"predictions", data + "/diabetes_predictions.npy"},
      {"targets", data + "/diabetes_targets.npy"},
      {"reduction", "MEAN"},
      {"expected_loss", 2988.0508685080476},
      {"expected_gradient", data + "/expected/mse_gradient.npy"},
      {"rows", 221}};
  Json cases = Json::array({right});
  const std::vector<std::pair<std::string, Json>> changes = {
      {"loss", "huber"},
      {"expected_loss", 2988.06},
      {"expected_gradient", data + "/expected/huber_delta_50_gradient.npy"},
      {"rows", 220}};
  for (const auto& [key, value] : changes) {
    cases.push_back(right);
    cases.back()[key] = value;
  }
  std::ofstream(Path("cases.json")) << cases;
  const Outcome outcome = Lossctl("verify --all --cases " + Path("cases.json"));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("NO"));
  EXPECT_THAT(outcome.err, HasSubstr("4 of 5 cases do not agree"));
}

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

TEST_F(LossctlTest, ThereIsNoSingleValueOfNone) {
  const std::string line =
      absl::StrCat("compute --loss mae --reduction none", kDiabetes);
  EXPECT_TRUE(LossctlJson(line)["loss"].is_null());
  EXPECT_THAT(Lossctl(line).out, HasSubstr("loss              -\n"));
}

TEST_F(LossctlTest, WarningsArePrinted) {
  const std::string line =
      absl::StrCat("compute --loss cce --prediction_kind logits --predictions ",
                   WriteFloats("p.npy", {2, 1}, {1, 2}), " --targets ",
                   WriteFloats("t.npy", {2, 1}, {1, 1}));
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

TEST_F(LossctlTest, CompareTriesEveryLossThatFits) {
  const Json json =
      LossctlJson(absl::StrCat("compare --sweep delta=1,50", kDiabetes));
  std::vector<std::string> names;
  for (const Json& row : json["losses"]) {
    names.push_back(absl::StrCat(row["name"].get<std::string>(), " ",
                                 row["options"].get<std::string>()));
  }
  EXPECT_THAT(
      names,
      ElementsAre("mean_squared_error ", "mean_squared_logarithmic_error ",
                  "mean_absolute_error ", "huber delta=1", "huber delta=50"));
  EXPECT_EQ(json["misfits"].size(), 5U);
  // 3 of 221 rows, whose slopes are those of all others.
  EXPECT_NEAR(json["losses"][2]["top_share"], 3.0 / 221, 1e-6);
  EXPECT_GT(json["losses"][0]["top_share"], 3.0 / 221);
  EXPECT_THAT(Lossctl(absl::StrCat("compare", kDigits)).out,
              AllOf(HasSubstr("sparse_categorical_cross_entropy"),
                    HasSubstr("does not fit"),
                    HasSubstr("--targets tests/data/digits_labels.npy")));
}

// Each reply has 221 float32 gradients and float64 row losses, 2652 bytes, and
// lossd keeps 1024 for the rest.
TEST_F(LossctlTest, CompareNeedsRoomForOneLossAtATime) {
  const ServerProcess small({"--max_message_bytes", "3700"});
  const std::string line =
      absl::StrCat("compare --sweep delta=1,10,50", kDiabetes);
  const Json json = LossctlJson(line, small.address());
  EXPECT_EQ(json["losses"].size(), 6U);
  EXPECT_EQ(json, LossctlJson(line));
}

TEST_F(LossctlTest, CompareTakesNoFailureForAMisfit) {
  const ServerProcess small({"--max_message_bytes", "3600"});
  const Outcome outcome =
      Lossctl(absl::StrCat("compare", kDiabetes), small.address());
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err,
              StartsWith("lossctl: mean_squared_error: RESOURCE_EXHAUSTED: "));
  EXPECT_THAT(outcome.out, IsEmpty());
}

TEST_F(LossctlTest, WhatChooseRecommendsCanBeComputed) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"diabetes_predictions", "diabetes_targets"},
      {"breast_cancer_logits", "breast_cancer_labels"},
      {"breast_cancer_probabilities", "breast_cancer_labels"},
      {"breast_cancer_scores", "breast_cancer_signs"},
      {"digits_logits", "digits_labels"},
      {"digits_probabilities", "digits_one_hot"},
      {"digits_log_probabilities", "digits_soft_targets"}};
  for (const auto& [predictions, targets] : pairs) {
    const Json choice = LossctlJson(
        absl::StrCat("choose --predictions tests/data/", predictions,
                     ".npy --targets tests/data/", targets, ".npy"));
    const std::string command = choice["command"];
    ASSERT_THAT(command, StartsWith("lossctl compute"));
    const Json result = LossctlJson(command.substr(std::strlen("lossctl ")));
    EXPECT_GE(result["loss"], 0) << command;
  }
}

}  // namespace
}  // namespace lossd::cli
