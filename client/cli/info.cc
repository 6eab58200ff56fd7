#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::cli {
namespace {

void PrintTable(const v1::GetServerInfoResponse& info, std::ostream& out) {
  std::vector<std::string> dtypes;
  for (const int dtype : info.prediction_dtypes()) {
    dtypes.push_back(
        absl::AsciiStrToLower(ShortName(static_cast<v1::Dtype>(dtype))));
  }
  Table table({{""}, {""}});
  const auto add = [&table](const std::string& name, const auto& value) {
    table.AddRow({name, absl::StrCat(value)});
  };
  const auto yes_no = [](bool value) { return value ? "yes" : "no"; };
  add("version", info.version());
  add("numerics_version", info.numerics_version());
  add("reproducible", yes_no(info.reproducible()));
  add("simd_target", info.simd_target());
  add("compute_threads", info.compute_threads());
  add("prediction_dtypes", absl::StrJoin(dtypes, ", "));
  add("streams", yes_no(info.streams()));
  add("arena_address",
      info.arena_address().empty() ? "none" : info.arena_address());
  add("max_message_bytes", info.limits().max_message_bytes());
  add("max_items", info.limits().max_items());
  add("max_rank", info.limits().max_rank());
  add("max_list_values", info.limits().max_list_values());
  add("memory_budget_bytes",
      info.limits().memory_budget_bytes() == 0
          ? "no limit"
          : absl::StrCat(info.limits().memory_budget_bytes()));
  table.Print(out);
}

int RunInfo(const Session& session) {
  const absl::StatusOr<Client> client = Connect(session);
  if (!client.ok()) return Fail(session, kFailed, client.status());
  const absl::StatusOr<v1::GetServerInfoResponse> info =
      client->GetServerInfo();
  if (!info.ok()) return Fail(session, kFailed, info.status());
  if (session.json()) {
    Print(ToJson(*info), session.out);
  } else {
    PrintTable(*info, session.out);
  }
  return kOk;
}

}  // namespace

Subcommand AddInfo(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "info", "Show version, limits and capabilities of the server");
  return {command, RunInfo, {}};
}

}  // namespace lossd::cli
