#include <string>

#include "absl/status/status.h"
#include "client/cli/json.h"
#include "client/cli/subcommand.h"

namespace lossd::cli {
namespace {

int RunHealth(const Session& session) {
  const absl::StatusOr<Client> client = Connect(session);
  const absl::Status status =
      client.ok() ? client->CheckHealth() : client.status();
  if (session.json()) {
    Print(
        {{"serving", status.ok()}, {"message", std::string(status.message())}},
        session.out);
  } else if (status.ok()) {
    session.out << session.server << " serves\n";
  }
  return status.ok() ? kOk : Fail(session, kFailed, status);
}

}  // namespace

Subcommand AddHealth(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "health", "Ask whether the server serves; exit code 0 if so");
  return {command, RunHealth, {}};
}

}  // namespace lossd::cli
