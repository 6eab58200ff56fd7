#include "server/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/listen/listen_address.h"
#include "server/version.h"

namespace lossd {
namespace {

constexpr int kMaxConnections = 1'000'000;
constexpr int kMaxThreads = 1024;
constexpr int64_t kMinMessageBytes = 1024;
// gRPC and protobuf count message sizes in int.
constexpr int64_t kMaxMessageBytes = int64_t{1} << 30;
// Less is a number of another unit rather than a budget.
constexpr int64_t kMinMemoryBudget = int64_t{1} << 20;
constexpr int64_t kMaxMemoryBudget = int64_t{1} << 50;
constexpr int64_t kMaxItems = 1'000'000;
constexpr double kMaxSeconds = 3600;
// CLI11 takes an empty environment variable for none.
constexpr char kOff[] = "off";

// CLI11 wants an empty text for "fine".
std::string CheckListen(const std::string& text) {
  return std::string(ParseListenAddress(text).status().message());
}

std::string CheckMetricsListen(const std::string& text) {
  if (text.empty() || text == kOff) return "";
  const absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
  if (!address.ok()) return std::string(address.status().message());
  return address->unix_path.empty() ? "" : "only HOST:PORT serves metrics";
}

std::string CheckArenaListen(const std::string& text) {
  if (text.empty() || text == kOff) return "";
  const absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
  if (!address.ok()) return std::string(address.status().message());
  return address->unix_path.empty() ? "only unix:PATH serves arenas" : "";
}

std::string CheckMemoryBudget(const std::string& text) {
  int64_t bytes = 0;
  if (absl::SimpleAtoi(text, &bytes) &&
      (bytes == 0 ||
       (bytes >= kMinMemoryBudget && bytes <= kMaxMemoryBudget))) {
    return "";
  }
  return absl::StrCat("'", text, "' is neither 0 nor in [", kMinMemoryBudget,
                      ", ", kMaxMemoryBudget, "] bytes");
}

// Unlike CLI::Range this refuses NaN.
std::string CheckSeconds(const std::string& text) {
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds) && seconds >= 0 &&
      seconds <= kMaxSeconds) {
    return "";
  }
  return absl::StrCat("'", text, "' is not in [0, ", kMaxSeconds, "] seconds");
}

void DefineOptions(CLI::App& app, ServerOptions& options) {
  app.add_option("--listen", options.listen,
                 "HOST:PORT or unix:PATH to serve at; repeatable. Port 0: any "
                 "free one")
      ->envname("LOSSD_LISTEN")
      ->delimiter(',')
      ->check(CheckListen)
      ->capture_default_str();
  // With expected(0, 1), and without a default that CLI11 knows, it takes
  // "--metrics_listen=" for empty rather than for a mistake.
  app.add_option(
         "--metrics_listen", options.metrics_listen,
         absl::StrCat("HOST:PORT of /metrics and /healthz, default ",
                      options.metrics_listen, "; ", kOff, " or empty: off"))
      ->envname("LOSSD_METRICS_LISTEN")
      ->expected(0, 1)
      ->check(CheckMetricsListen);
  app.add_option("--arena_listen", options.arena_listen,
                 absl::StrCat("unix:PATH where callers on this machine get "
                              "memory that they share with lossd; ",
                              kOff, " or empty, the default: nowhere"))
      ->envname("LOSSD_ARENA_LISTEN")
      ->expected(0, 1)
      ->check(CheckArenaListen);
  app.add_option("--socket_group", options.socket_group,
                 "name or number of the group that may connect to Unix "
                 "sockets, besides lossd's own user. By default lossd's group "
                 "to that of --arena_listen, whoever the umask allows to those "
                 "of --listen")
      ->envname("LOSSD_SOCKET_GROUP");
  app.add_option("--max_connections", options.max_connections,
                 "most connections at a time, at most three quarters of the "
                 "descriptors that the process may have; others are closed")
      ->envname("LOSSD_MAX_CONNECTIONS")
      ->check(CLI::Range(1, kMaxConnections))
      ->capture_default_str();
  app.add_option("--threads", options.threads,
                 "threads that compute, at most as many as CPUs may be used; "
                 "0: as many")
      ->envname("LOSSD_THREADS")
      ->check(CLI::Range(0, kMaxThreads))
      ->capture_default_str();
  app.add_option("--max_message_bytes", options.max_message_bytes,
                 "largest request and reply, in bytes")
      ->envname("LOSSD_MAX_MESSAGE_BYTES")
      ->check(CLI::Range(kMinMessageBytes, kMaxMessageBytes))
      ->capture_default_str();
  app.add_option(
         "--memory_budget", options.memory_budget,
         "bytes of arenas, requests in hand and replies not yet sent; 0: half "
         "of what the cgroup or the machine allows")
      ->envname("LOSSD_MEMORY_BUDGET")
      ->check(CheckMemoryBudget)
      ->capture_default_str();
  app.add_option("--max_items", options.max_items, "most items in a request")
      ->envname("LOSSD_MAX_ITEMS")
      ->check(CLI::Range(int64_t{1}, kMaxItems))
      ->capture_default_str();
  app.add_option("--drain_delay", options.drain_delay,
                 "seconds to keep serving after a shutdown has been announced")
      ->envname("LOSSD_DRAIN_DELAY")
      ->check(CheckSeconds)
      ->capture_default_str();
  app.add_option("--drain_timeout", options.drain_timeout,
                 "seconds that RPCs in flight get to finish on shutdown")
      ->envname("LOSSD_DRAIN_TIMEOUT")
      ->check(CheckSeconds)
      ->capture_default_str();
  app.add_option("--log_level", options.log_level,
                 "debug, info, warning or error")
      ->envname("LOSSD_LOG_LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc,
                                             const char* const* argv) {
  CommandLine result;
  CLI::App app("lossd: computes losses and their gradients over gRPC.",
               "lossd");
  DefineOptions(app, result.options);
  app.set_version_flag("--version", absl::StrCat("lossd ", kVersion));
  try {
    app.parse(argc, argv);
    for (std::string* listen :
         {&result.options.metrics_listen, &result.options.arena_listen}) {
      if (*listen == kOff) listen->clear();
    }
  } catch (const CLI::CallForVersion& version) {
    result.text = absl::StrCat(version.what(), "\n");
  } catch (const CLI::CallForHelp&) {
    result.text = app.help();
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(OneLine(error.what()));
  }
  return result;
}

}  // namespace lossd
