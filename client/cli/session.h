// What all subcommands share: the server, the format, where to print, and how
// to end.

#ifndef LOSSD_CLIENT_CLI_SESSION_H_
#define LOSSD_CLIENT_CLI_SESSION_H_

#include <iosfwd>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"

namespace lossd::cli {

// Exit codes of lossctl.
inline constexpr int kOk = 0;
// The request failed: the server refused it or was not reached, or what it
// answered could not be written.
inline constexpr int kFailed = 1;
// The command line or one of its files cannot be used. Nothing was computed;
// the server was asked for at most its list of losses (describe).
inline constexpr int kUsage = 2;

// The flags that all subcommands have, and the streams they print to.
struct Session {
  // "host:port" or "unix:PATH".
  std::string server = "127.0.0.1:50051";
  // Longest time that connecting, and each call, may take. > 0.
  double timeout_seconds = 60;
  // "table" or "json".
  std::string format = "table";
  std::ostream& out;
  std::ostream& err;

  bool json() const { return format == "json"; }
};

// Connects to the session's server.
absl::StatusOr<Client> Connect(const Session& session);

// Prints "lossctl: MESSAGE" to the session's `err` and returns `exit_code`.
int Fail(const Session& session, int exit_code, const std::string& message);

// The same with the status's message, which for errors that are not about the
// request begins with the code.
int Fail(const Session& session, int exit_code, const absl::Status& status);

// "UNAVAILABLE: nobody answers"; the message alone for INVALID_ARGUMENT.
std::string StatusText(const absl::Status& status);

// `status` with "PREFIX: " before its message.
absl::Status Prefixed(const std::string& prefix, const absl::Status& status);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_SESSION_H_
