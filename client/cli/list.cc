#include <algorithm>
#include <iterator>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"
#include "lossd/v1/loss_info.pb.h"

namespace lossd::cli {
namespace {

constexpr size_t kIndent = 4;

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
      out << "  " << loss.name();
      if (loss.aliases_size() > 0) {
        out << " (" << absl::StrJoin(loss.aliases(), ", ") << ")";
      }
      out << '\n'
          << std::string(kIndent, ' ') << Wrap(loss.summary(), kIndent) << '\n';
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
