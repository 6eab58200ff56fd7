#include "server/config/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/status_macros.h"
#include "server/auth/watched_files.h"
#include "server/config/edit_distance.h"
#include "server/config/environment.h"
#include "server/config/flag_file.h"
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
constexpr char kFlagFile[] = "--flag_file";
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
      ->delimiter(',')
      ->check(CheckListen)
      ->capture_default_str();
  // With expected(0, 1), and without a default that CLI11 knows, it takes
  // "--metrics_listen=" for empty rather than for a mistake.
  app.add_option(
         "--metrics_listen", options.metrics_listen,
         absl::StrCat("HOST:PORT of /metrics and /healthz, default ",
                      options.metrics_listen, "; ", kOff, " or empty: off"))
      ->expected(0, 1)
      ->check(CheckMetricsListen);
  app.add_option("--arena_listen", options.arena_listen,
                 absl::StrCat("unix:PATH where callers on this machine get "
                              "memory that they share with lossd; ",
                              kOff, " or empty, the default: nowhere"))
      ->expected(0, 1)
      ->check(CheckArenaListen);
  app.add_option("--socket_group", options.socket_group,
                 "name or number of the group that may connect to Unix "
                 "sockets, besides lossd's own user. By default lossd's group "
                 "to that of --arena_listen, whoever the umask allows to those "
                 "of --listen");
  app.add_option("--max_connections", options.max_connections,
                 "most connections at a time, at most three quarters of the "
                 "descriptors that the process may have; others are closed")
      ->check(CLI::Range(1, kMaxConnections))
      ->capture_default_str();
  app.add_option("--threads", options.threads,
                 "threads that compute, at most as many as CPUs may be used; "
                 "0: as many")
      ->check(CLI::Range(0, kMaxThreads))
      ->capture_default_str();
  app.add_option("--max_message_bytes", options.max_message_bytes,
                 "largest request and reply, in bytes")
      ->check(CLI::Range(kMinMessageBytes, kMaxMessageBytes))
      ->capture_default_str();
  app.add_option(
         "--memory_budget", options.memory_budget,
         "bytes of arenas, requests in hand and replies not yet sent; 0: half "
         "of what the cgroup or the machine allows")
      ->check(CheckMemoryBudget)
      ->capture_default_str();
  app.add_option("--max_items", options.max_items, "most items in a request")
      ->check(CLI::Range(int64_t{1}, kMaxItems))
      ->capture_default_str();
  app.add_option("--drain_delay", options.drain_delay,
                 "seconds to keep serving after a shutdown has been announced")
      ->check(CheckSeconds)
      ->capture_default_str();
  app.add_option("--drain_timeout", options.drain_timeout,
                 "seconds that RPCs in flight get to finish on shutdown")
      ->check(CheckSeconds)
      ->capture_default_str();
  app.add_option("--log_level", options.log_level,
                 "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
}

void DefineAccess(CLI::App& app, ServerOptions& options) {
  app.add_flag("--allow_plaintext", options.allow_plaintext,
               "serve TCP beyond this machine without TLS");
  app.add_option("--tls_certificate", options.tls_certificate,
                 "PEM file of the server's certificate and those between it "
                 "and the root: TCP is served with TLS");
  app.add_option("--tls_key", options.tls_key,
                 "PEM file of the certificate's private key");
  app.add_option("--tls_client_ca", options.tls_client_ca,
                 "PEM file of those who certify clients: these then need a "
                 "certificate");
  app.add_option("--identities", options.identities,
                 "file that says who may call, by token or certificate, and "
                 "how many bytes each may have in flight; without it everybody "
                 "may");
  app.add_flag("--reflection", options.reflection,
               "tell whoever asks which RPCs there are; default true");
}

// Of each option that has been defined.
void DefineVariables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option == app.get_help_ptr()) continue;
    const std::string flag = option->get_name().substr(2);
    option->envname(absl::StrCat("LOSSD_", absl::AsciiStrToUpper(flag)));
  }
}

absl::Status CheckTogether(const ServerOptions& options) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls_certificate and --tls_key need each other");
  }
  if (!options.tls_client_ca.empty() && options.tls_certificate.empty()) {
    return absl::InvalidArgumentError(
        "--tls_client_ca needs --tls_certificate");
  }
  return absl::OkStatus();
}

// Of what a file may hold.
bool IsSetting(const CLI::Option& option) {
  return !option.get_envname().empty() && option.get_name() != kFlagFile;
}

std::vector<std::string> SettingNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (IsSetting(*option)) names.push_back(option->get_name().substr(2));
  }
  return names;
}

absl::Status CheckVariables(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_envname().empty()) names.push_back(option->get_envname());
  }
  return CheckEnvironment(names);
}

// Gives the options that nobody gave what the file says.
absl::Status ReadFlagFile(CLI::App& app, const std::string& path) {
  const absl::StatusOr<std::string> text = ReadSmallFile(path);
  LOSSD_RETURN_IF_ERROR(text.status());
  const absl::StatusOr<std::vector<FlagLine>> lines = ParseFlagFile(*text);
  if (!lines.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", lines.status().message()));
  }
  std::set<CLI::Option*> given;
  for (CLI::Option* option : app.get_options()) {
    if (option->count() > 0) given.insert(option);
  }
  for (const FlagLine& line : *lines) {
    const std::string where = absl::StrCat(path, ": line ", line.number, ": ");
    CLI::Option* option = app.get_option_no_throw("--" + line.name);
    if (option == nullptr || !IsSetting(*option)) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, line.name, " is unknown",
                       DidYouMean(line.name, SettingNames(app))));
    }
    if (given.count(option) > 0) continue;
    try {
      option->add_result(line.value);
      option->run_callback();
    } catch (const CLI::Error& error) {
      return absl::InvalidArgumentError(absl::StrCat(where, error.what()));
    }
  }
  return absl::OkStatus();
}

// What CLI11 says about arguments that it does not know leaves out what it
// does.
std::string Unexpected(const CLI::App& app) {
  const std::string given = app.remaining().front();
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    names.push_back(option->get_name());
  }
  return absl::StrCat(given, " is unknown",
                      DidYouMean(given.substr(0, given.find('=')), names));
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> Described(
    const ServerOptions& options) {
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  return {
      {"listen", absl::StrJoin(options.listen, ",")},
      {"arena_listen", options.arena_listen},
      {"socket_group", options.socket_group},
      {"metrics_listen", options.metrics_listen},
      {"allow_plaintext", flag(options.allow_plaintext)},
      {"tls_certificate", options.tls_certificate},
      {"tls_key", options.tls_key},
      {"tls_client_ca", options.tls_client_ca},
      {"identities", options.identities},
      {"reflection", flag(options.reflection)},
      {"max_connections", absl::StrCat(options.max_connections)},
      {"threads", absl::StrCat(options.threads)},
      {"max_message_bytes", absl::StrCat(options.max_message_bytes)},
      {"memory_budget", absl::StrCat(options.memory_budget)},
      {"max_items", absl::StrCat(options.max_items)},
      {"drain_delay", absl::StrCat(options.drain_delay)},
      {"drain_timeout", absl::StrCat(options.drain_timeout)},
      {"log_level", options.log_level},
  };
}

absl::StatusOr<CommandLine> ParseCommandLine(int argc,
                                             const char* const* argv) {
  CommandLine result;
  std::string flag_file;
  bool print_config = false;
  CLI::App app("lossd: computes losses and their gradients over gRPC.",
               "lossd");
  DefineOptions(app, result.options);
  DefineAccess(app, result.options);
  app.add_option(kFlagFile, flag_file,
                 "file of flags, name=value a line, for those that are given "
                 "neither here nor in the environment");
  DefineVariables(app);
  app.add_flag("--print_config", print_config,
               "print what is in force as a file of flags, and exit");
  app.set_version_flag("--version", absl::StrCat("lossd ", kVersion));
  try {
    app.parse(argc, argv);
    LOSSD_RETURN_IF_ERROR(CheckVariables(app));
    if (!flag_file.empty()) LOSSD_RETURN_IF_ERROR(ReadFlagFile(app, flag_file));
    for (std::string* listen :
         {&result.options.metrics_listen, &result.options.arena_listen}) {
      if (*listen == kOff) listen->clear();
    }
    LOSSD_RETURN_IF_ERROR(CheckTogether(result.options));
  } catch (const CLI::CallForVersion& version) {
    result.text = absl::StrCat(version.what(), "\n");
  } catch (const CLI::CallForHelp&) {
    result.text = app.help();
  } catch (const CLI::ExtrasError&) {
    return absl::InvalidArgumentError(Unexpected(app));
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(OneLine(error.what()));
  }
  if (print_config) {
    for (const auto& [name, value] : Described(result.options)) {
      absl::StrAppend(&result.text, name, "=", value, "\n");
    }
  }
  return result;
}

}  // namespace lossd
