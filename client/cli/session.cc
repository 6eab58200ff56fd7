#include "client/cli/session.h"

#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace lossd::cli {

absl::StatusOr<Client> Connect(const Session& session) {
  ClientOptions options;
  options.connect_deadline = absl::Seconds(session.timeout_seconds);
  options.deadline = options.connect_deadline;
  return Client::Connect(session.server, options);
}

int Fail(const Session& session, int exit_code, const std::string& message) {
  session.err << "lossctl: " << message << '\n';
  return exit_code;
}

int Fail(const Session& session, int exit_code, const absl::Status& status) {
  // Codes of local errors only repeat what the message says.
  return Fail(
      session, exit_code,
      exit_code == kUsage ? std::string(status.message()) : StatusText(status));
}

std::string StatusText(const absl::Status& status) {
  std::string message(status.message());
  if (absl::IsInvalidArgument(status)) return message;
  return absl::StrCat(absl::StatusCodeToString(status.code()), ": ", message);
}

absl::Status Prefixed(const std::string& prefix, const absl::Status& status) {
  return absl::Status(
      status.code(), absl::StrCat(prefix, ": ", std::string(status.message())));
}

}  // namespace lossd::cli
