// lossctl, the program, against lossd, the program; compute apart.

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/array_file.h"
#include "client/cli/options_reflection.h"
#include "client/client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/lossctl_program.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

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
  EXPECT_THAT(text, AllOf(HasSubstr("needs positive, negative\n"),
                          HasSubstr("has gradients of positive, negative")));
  EXPECT_EQ(LossctlJson("list")["losses"].size(), AllLosses().size());
}

TEST_F(LossctlTest, DescribeTakesShortNames) {
  const Outcome outcome = Lossctl("describe bce");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("binary_cross_entropy"), HasSubstr("use when"),
                    HasSubstr("--pos_weight: double > 0; default 1"),
                    HasSubstr("LOGITS, PROBABILITIES"),
                    HasSubstr("mean over the last axis"),
                    HasSubstr("rows are independent"),
                    HasSubstr("accuracy, mean_target_probability"),
                    HasSubstr("targets: as predictions; float32, "),
                    HasSubstr("pos_weight (optional): [D]; float32, ")));
  EXPECT_THAT(Lossctl("describe gaussian_nll").out,
              AllOf(HasSubstr("; has a gradient"),
                    HasSubstr("--full: bool; default false")));
  EXPECT_THAT(Lossctl("describe poisson").out,
              HasSubstr("1e-7 for KERAS when unset"));
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
  size_t quickstart = 0;
  for (const Json& entry : Json::parse(*ReadFile("tests/data/cases.json"))) {
    quickstart += entry.value("quickstart", false) ? 1U : 0U;
  }
  EXPECT_GT(quickstart, 0U);
  EXPECT_EQ(json["passed"], quickstart);
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

TEST_F(LossctlTest, CompareTriesEveryLossThatFits) {
  const Json json =
      LossctlJson(absl::StrCat("compare --sweep delta=1,50", kDiabetes));
  std::map<std::string, Json> rows;
  std::set<std::string> names;
  for (const Json& row : json["losses"]) {
    names.insert(row["name"]);
    rows[absl::StrCat(row["name"].get<std::string>(), " ",
                      row["options"].get<std::string>())] = row;
  }
  for (const char* row :
       {"mean_squared_error ", "mean_squared_logarithmic_error ",
        "mean_absolute_error ", "huber delta=1", "huber delta=50"}) {
    EXPECT_EQ(rows.count(row), 1U) << row;
  }
  EXPECT_EQ(rows.size(), json["losses"].size());
  std::map<std::string, std::string> misfits;
  for (const Json& row : json["misfits"]) {
    misfits[row["name"]] = row["why_not"];
    EXPECT_TRUE(names.insert(row["name"]).second) << row["name"];
  }
  EXPECT_EQ(names.size(), AllLosses().size());
  EXPECT_THAT(misfits["triplet"], HasSubstr("it needs positive, negative"));
  EXPECT_THAT(misfits["hinge"],
              HasSubstr("--targets tests/data/diabetes_targets.npy"));
  // 3 of 221 rows, whose slopes are those of all others.
  EXPECT_NEAR(rows["mean_absolute_error "]["top_share"], 3.0 / 221, 1e-6);
  EXPECT_GT(rows["mean_squared_error "]["top_share"], 3.0 / 221);
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
  EXPECT_GE(json["losses"].size(), 6U);
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
