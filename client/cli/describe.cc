#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"
#include "lossd/v1/loss_info.pb.h"

namespace lossd::cli {
namespace {

constexpr size_t kIndent = 17;

// "title            text", the text wrapped in its column.
void PrintEntry(const std::string& title, const std::string& text,
                std::ostream& out) {
  if (text.empty()) return;
  out << title << std::string(kIndent - title.size(), ' ')
      << Wrap(text, kIndent) << '\n';
}

template <typename Texts>
void PrintEntries(std::string title, const Texts& texts, std::ostream& out) {
  for (const std::string& text : texts) {
    PrintEntry(title, text, out);
    title.clear();
  }
}

std::string InputText(const v1::InputInfo& input) {
  return absl::StrCat(input.name(), input.required() ? "" : " (optional)", ": ",
                      input.shape(), "; ", input.dtypes(), "; ",
                      input.summary(),
                      input.differentiable() ? "; has a gradient" : "");
}

std::string RowText(const v1::LossInfo& loss) {
  if (loss.row_loss() == "element") return "every element is a row";
  if (loss.row_loss() == "joint") return "one loss of all its elements";
  std::string text = absl::StrCat(loss.row_loss(), " over the last axis");
  if (loss.row_loss() != "mean") return text;
  return absl::StrCat(text,
                      "; with --semantics PYTORCH every element is a row");
}

std::string OptionText(const v1::OptionInfo& option) {
  const std::string allowed = AllowedText(option);
  return absl::StrCat("--", option.name(), ": ", option.type(),
                      allowed.empty() ? "" : " ", allowed, "; ",
                      DefaultText(option), "; ", option.summary());
}

void PrintText(const v1::LossInfo& loss, std::ostream& out) {
  out << loss.name() << '\n';
  PrintEntry("", loss.summary(), out);
  PrintEntry("aliases", absl::StrJoin(loss.aliases(), ", "), out);
  PrintEntry("task", absl::AsciiStrToLower(ShortName(loss.task())), out);
  PrintEntry("formula", loss.formula(), out);
  PrintEntry("loss of a row",
             absl::StrCat(RowText(loss),
                          loss.separable() ? "; rows are independent" : ""),
             out);
  PrintEntry("targets", loss.target_encoding(), out);
  PrintEntry("use when", loss.use_when(), out);
  PrintEntry("avoid when", loss.avoid_when(), out);
  PrintEntries("advantages", loss.advantages(), out);
  PrintEntries("disadvantages", loss.disadvantages(), out);
  PrintEntries("alternatives", loss.alternatives(), out);
  PrintEntry("example", loss.example(), out);
  std::vector<std::string> inputs;
  for (const auto& input : loss.inputs()) inputs.push_back(InputText(input));
  PrintEntries("inputs", inputs, out);
  std::vector<std::string> options;
  for (const auto& option : loss.options()) {
    options.push_back(OptionText(option));
  }
  if (options.empty()) options.emplace_back("none");
  PrintEntries("options", options, out);
  PrintEntry("diagnostics", absl::StrJoin(loss.diagnostics(), ", "), out);
}

bool HasName(const v1::LossInfo& loss, const std::string& name) {
  return absl::EqualsIgnoreCase(name, loss.name()) ||
         std::any_of(loss.aliases().begin(), loss.aliases().end(),
                     [&name](const std::string& alias) {
                       return absl::EqualsIgnoreCase(name, alias);
                     });
}

int RunDescribe(const std::string& name, const Session& session) {
  const absl::StatusOr<Client> client = Connect(session);
  if (!client.ok()) return Fail(session, kFailed, client.status());
  const absl::StatusOr<std::vector<v1::LossInfo>> losses = client->ListLosses();
  if (!losses.ok()) return Fail(session, kFailed, losses.status());
  std::vector<std::string> names;
  for (const v1::LossInfo& loss : *losses) {
    names.push_back(loss.name());
    if (!HasName(loss, name)) continue;
    if (session.json()) {
      Print(ToJson(loss), session.out);
    } else {
      PrintText(loss, session.out);
    }
    return kOk;
  }
  return Fail(session, kUsage,
              absl::StrCat("unknown loss '", name,
                           "', allowed: ", absl::StrJoin(names, ", ")));
}

}  // namespace

Subcommand AddDescribe(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "describe", "Show what a loss is, when to use it, and its options");
  const auto name = std::make_shared<std::string>();
  command->add_option("LOSS", *name, "full or short name: huber, mse")
      ->required();
  return {
      command,
      [name](const Session& session) { return RunDescribe(*name, session); },
      {}};
}

}  // namespace lossd::cli
