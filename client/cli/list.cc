#include <algorithm>
#include <iterator>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"
#include "lossd/v1/loss_info.pb.h"

namespace lossd::cli {
namespace {

constexpr size_t kIndent = 4;

void PrintEntry(const std::string& text, std::ostream& out) {
  out << std::string(kIndent, ' ') << Wrap(text, kIndent) << '\n';
}

// "NAME, NAME": the inputs other than targets for which `wanted` holds.
template <typename Predicate>
std::string InputNames(const v1::LossInfo& loss, Predicate wanted) {
  std::vector<std::string> names;
  for (const v1::InputInfo& input : loss.inputs()) {
    if (input.name() != "targets" && wanted(input)) {
      names.push_back(input.name());
    }
  }
  return absl::StrJoin(names, ", ");
}

// What it is, and what of it compute has to be told.
void PrintLoss(const v1::LossInfo& loss, std::ostream& out) {
  out << "  " << loss.name();
  if (loss.aliases_size() > 0) {
    out << " (" << absl::StrJoin(loss.aliases(), ", ") << ")";
  }
  out << '\n';
  PrintEntry(loss.summary(), out);
  const std::string needs =
      InputNames(loss, [](const auto& input) { return input.required(); });
  if (!needs.empty()) PrintEntry(absl::StrCat("needs ", needs), out);
  const std::string gradients = InputNames(
      loss, [](const auto& input) { return input.differentiable(); });
  if (!gradients.empty()) {
    PrintEntry(absl::StrCat("has gradients of ", gradients, " too"), out);
  }
}

void PrintText(const std::vector<v1::LossInfo>& losses, std::ostream& out) {
  const char* separator = "";
  for (int task = v1::Task_MIN; task <= v1::Task_MAX; ++task) {
    std::vector<v1::LossInfo> of_task;
    std::copy_if(losses.begin(), losses.end(), std::back_inserter(of_task),
                 [task](const auto& loss) { return loss.task() == task; });
    if (of_task.empty()) continue;
    const std::string title = ShortName(static_cast<v1::Task>(task));
    out << std::exchange(separator, "\n")
        << (title.empty() ? "other" : absl::AsciiStrToLower(title)) << '\n';
    for (const v1::LossInfo& loss : of_task) {
      PrintLoss(loss, out);
    }
  }
}

int RunList(const Session& session) {
  const absl::StatusOr<Client> client = Connect(session);
  if (!client.ok()) return Fail(session, kFailed, client.status());
  const absl::StatusOr<std::vector<v1::LossInfo>> losses = client->ListLosses();
  if (!losses.ok()) return Fail(session, kFailed, losses.status());
  if (session.json()) {
    Json list = Json::array();
    for (const v1::LossInfo& loss : *losses) list.push_back(ToJson(loss));
    Print({{"losses", std::move(list)}}, session.out);
  } else {
    PrintText(*losses, session.out);
  }
  return kOk;
}

}  // namespace

Subcommand AddList(CLI::App& app) {
  CLI::App* const command =
      app.add_subcommand("list", "List the server's losses, grouped by task");
  return {command, RunList, {}};
}

}  // namespace lossd::cli
