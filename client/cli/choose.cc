#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/cli/choose_rules.h"
#include "client/cli/input_files.h"
#include "client/cli/json.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"

namespace lossd::cli {
namespace {

constexpr size_t kIndent = 12;

struct Flags {
  std::string predictions;
  std::string targets;
};

// `text` as one word of a POSIX shell.
std::string ShellWord(const std::string& text) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:,";
  if (text.find_first_not_of(kPlain) == std::string::npos) return text;
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string CommandText(const Recommendation& result, const Flags& flags) {
  std::string text = absl::StrCat("lossctl compute --loss ", result.loss);
  for (const ChosenOption& option : result.options) {
    absl::StrAppend(&text, " --", option.name, " ", option.value);
  }
  absl::StrAppend(&text, " --predictions ", ShellWord(flags.predictions),
                  " --targets ", ShellWord(flags.targets));
  return text;
}

void PrintJson(const Recommendation& result, const std::string& command,
               std::ostream& out) {
  Json options = Json::array();
  for (const ChosenOption& option : result.options) {
    options.push_back({{"name", option.name},
                       {"value", option.value},
                       {"evidence", option.evidence}});
  }
  Json alternatives = Json::array();
  for (const Alternative& alternative : result.alternatives) {
    alternatives.push_back(
        {{"loss", alternative.loss}, {"why_not", alternative.why_not}});
  }
  Print({{"loss", result.loss},
         {"rule", result.rule},
         {"evidence", result.evidence},
         {"options", std::move(options)},
         {"alternatives", std::move(alternatives)},
         {"notes", result.notes},
         {"command", command}},
        out);
}

void PrintText(const Recommendation& result, const std::string& command,
               std::ostream& out) {
  const auto entry = [&out](const std::string& title, const std::string& text) {
    out << title << std::string(kIndent - title.size(), ' ')
        << Wrap(text, kIndent) << '\n';
  };
  entry("loss", result.loss);
  entry("rule", result.rule);
  entry("evidence", result.evidence);
  for (const ChosenOption& option : result.options) {
    entry("option", absl::StrCat("--", option.name, " ", option.value, ": ",
                                 option.evidence));
  }
  for (const std::string& note : result.notes) entry("note", note);
  for (const Alternative& alternative : result.alternatives) {
    entry("not", absl::StrCat(alternative.loss, ": ", alternative.why_not));
  }
  out << "\nrun next:\n  " << command << '\n';
}

int RunChoose(const Flags& flags, const Session& session) {
  InputFiles files;
  absl::Status status =
      files.Read("predictions", "--predictions " + flags.predictions,
                 flags.predictions, CsvElements::kFloat);
  if (status.ok()) {
    status = files.Read("targets", "--targets " + flags.targets, flags.targets,
                        CsvElements::kIntegerIfWhole);
  }
  if (!status.ok()) return Fail(session, kUsage, status);
  const absl::StatusOr<Recommendation> result =
      Choose(*files.Find("predictions"), *files.Find("targets"));
  if (!result.ok()) return Fail(session, kUsage, result.status());
  const std::string command = CommandText(*result, flags);
  if (session.json()) {
    PrintJson(*result, command, session.out);
  } else {
    PrintText(*result, command, session.out);
  }
  return kOk;
}

}  // namespace

Subcommand AddChoose(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "choose", "Recommend a loss for predictions and targets; no server");
  const auto flags = std::make_shared<Flags>();
  AddTensorFiles(*command, flags->predictions, flags->targets);
  return {
      command,
      [flags](const Session& session) { return RunChoose(*flags, session); },
      {}};
}

}  // namespace lossd::cli
