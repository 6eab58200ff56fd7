#include <algorithm>
#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"
#include "client/cli/verify_cases.h"

namespace lossd::cli {
namespace {

struct Flags {
  std::string cases;
  bool all = false;
};

// What the server answered to a case.
struct Outcome {
  std::string id;
  std::string name;
  // Why there is no answer; empty if there is one.
  std::string error;
  double loss = 0;
  int64_t row_count = 0;
  double gradient_norm = 0;
  double milliseconds = 0;
  double loss_difference = 0;
  double gradient_difference = 0;
  bool agrees = false;
};

Outcome Ask(const VerifyCase& verify_case, const Client& client) {
  const Array& predictions = *verify_case.files.Find("predictions");
  Array gradient =
      Zeros(predictions.dtype == v1::DTYPE_FLOAT64 ? v1::DTYPE_FLOAT64
                                                   : v1::DTYPE_FLOAT32,
            predictions.shape);
  LossCall call;
  call.loss = verify_case.loss;
  call.predictions = predictions.View();
  call.targets = verify_case.files.View("targets");
  call.sample_weights = verify_case.files.View("sample_weights");
  call.reduction = verify_case.reduction;
  call.gradient = MutableView(gradient);
  Outcome outcome;
  outcome.id = verify_case.id;
  outcome.name = InfoOf(verify_case.loss).name();
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<ClientResult> result = client.Compute(call);
  const std::chrono::duration<double, std::milli> time =
      std::chrono::steady_clock::now() - start;
  outcome.milliseconds = time.count();
  if (!result.ok()) {
    outcome.error = verify_case.files.Explain(result.status());
    return outcome;
  }
  outcome.loss = result->loss;
  outcome.row_count = result->row_count;
  outcome.gradient_norm = EuclideanNorm(gradient);
  outcome.loss_difference =
      RelativeDifference(result->loss, verify_case.expected_loss);
  outcome.gradient_difference =
      GradientDifference(gradient, verify_case.expected_gradient);
  outcome.agrees = outcome.row_count == verify_case.expected_rows &&
                   outcome.loss_difference <= kLossTolerance &&
                   outcome.gradient_difference <= kGradientTolerance;
  return outcome;
}

void PrintJson(const std::vector<Outcome>& outcomes, int64_t failed,
               std::ostream& out) {
  Json cases = Json::array();
  for (const Outcome& outcome : outcomes) {
    Json json = {{"id", outcome.id},
                 {"name", outcome.name},
                 {"loss", outcome.loss},
                 {"row_count", outcome.row_count},
                 {"gradient_norm", outcome.gradient_norm},
                 {"milliseconds", outcome.milliseconds},
                 {"loss_difference", outcome.loss_difference},
                 {"gradient_difference", outcome.gradient_difference},
                 {"agrees", outcome.agrees}};
    if (!outcome.error.empty()) {
      json = {{"id", outcome.id},
              {"name", outcome.name},
              {"error", outcome.error},
              {"agrees", false}};
    }
    cases.push_back(std::move(json));
  }
  Print({{"cases", std::move(cases)},
         {"passed", static_cast<int64_t>(outcomes.size()) - failed},
         {"failed", failed},
         {"loss_tolerance", kLossTolerance},
         {"gradient_tolerance", kGradientTolerance}},
        out);
}

void PrintText(const std::vector<Outcome>& outcomes, int64_t failed,
               std::ostream& out) {
  constexpr auto kRight = Table::Align::kRight;
  Table table({{"loss"},
               {"case"},
               {"value", kRight},
               {"rows", kRight},
               {"gradient norm", kRight},
               {"time (ms)", kRight},
               {"loss off by", kRight},
               {"gradient off by", kRight},
               {"agrees"}});
  for (const Outcome& outcome : outcomes) {
    if (!outcome.error.empty()) {
      table.AddRow({outcome.name, outcome.id, "-", "-", "-", "-", "-", "-",
                    absl::StrCat("NO: ", outcome.error)});
      continue;
    }
    table.AddRow({outcome.name, outcome.id, NumberText(outcome.loss),
                  absl::StrCat(outcome.row_count),
                  NumberText(outcome.gradient_norm),
                  absl::StrFormat("%.2f", outcome.milliseconds),
                  absl::StrFormat("%.1e", outcome.loss_difference),
                  absl::StrFormat("%.1e", outcome.gradient_difference),
                  outcome.agrees ? "yes" : "NO"});
  }
  table.Print(out);
  out << absl::StrFormat(
      "%d of %d agree with the expected values: the loss within %.1e of it, "
      "each\ngradient element within %.1e of the largest one\n",
      static_cast<int64_t>(outcomes.size()) - failed, outcomes.size(),
      kLossTolerance, kGradientTolerance);
}

int RunVerify(const Flags& flags, const Session& session) {
  const absl::StatusOr<std::vector<VerifyCase>> cases =
      ReadCases(flags.cases, flags.all);
  if (!cases.ok()) return Fail(session, kUsage, cases.status());
  const absl::StatusOr<Client> client = Connect(session);
  if (!client.ok()) return Fail(session, kFailed, client.status());
  std::vector<Outcome> outcomes;
  for (const VerifyCase& verify_case : *cases) {
    outcomes.push_back(Ask(verify_case, *client));
  }
  const auto failed =
      std::count_if(outcomes.begin(), outcomes.end(),
                    [](const Outcome& outcome) { return !outcome.agrees; });
  if (session.json()) {
    PrintJson(outcomes, failed, session.out);
  } else {
    PrintText(outcomes, failed, session.out);
  }
  return failed == 0 ? kOk
                     : Fail(session, kFailed,
                            absl::StrCat(failed, " of ", outcomes.size(),
                                         " cases do not agree"));
}

}  // namespace

Subcommand AddVerify(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "verify", "Compare the server's answers with stored ones");
  const auto flags = std::make_shared<Flags>();
  command
      ->add_option("--cases", flags->cases,
                   "list of cases, as tests/data/cases.json")
      ->type_name("FILE")
      ->required();
  command->add_flag("--all", flags->all,
                    "all cases, not only those of the quickstart");
  return {
      command,
      [flags](const Session& session) { return RunVerify(*flags, session); },
      {}};
}

}  // namespace lossd::cli
