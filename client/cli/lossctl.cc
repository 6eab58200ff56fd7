#include "client/cli/lossctl.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <exception>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/session.h"
#include "client/cli/subcommand.h"

namespace lossd::cli {
namespace {

// More than 30 years, in seconds; deadlines far beyond overflow.
constexpr double kLongestTimeout = 1e9;

// CLI11 takes arguments last to first.
std::vector<std::string> Reversed(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

// The value of --loss, whose options are flags that the parser must know
// beforehand; empty if there is none.
std::string LossOf(const std::vector<std::string>& arguments) {
  CLI::App app;
  app.allow_extras();
  app.set_help_flag();
  std::string loss;
  app.add_option("--loss", loss);
  try {
    app.parse(Reversed(arguments));
  } catch (const CLI::ParseError&) {
    // The second parse says what is wrong.
    return "";
  }
  return loss;
}

// CLI11's own check for positive numbers lets infinity pass, and NaN.
std::string CheckTimeout(const std::string& text) {
  double seconds = 0;
  const bool fine = absl::SimpleAtod(text, &seconds) && seconds > 0 &&
                    seconds <= kLongestTimeout;
  return fine ? ""
              : absl::StrCat("got ", text,
                             ", allowed: > 0 and <= ", kLongestTimeout);
}

void AddGlobalFlags(CLI::App& app, Session& session) {
  app.add_option("--server", session.server,
                 "where lossd listens: HOST:PORT or unix:PATH")
      ->envname("LOSSD_SERVER")
      ->type_name("ADDRESS")
      ->capture_default_str();
  app.add_option("--timeout", session.timeout_seconds,
                 "longest time to connect, and for each call, > 0")
      ->type_name("SECONDS")
      ->check(CheckTimeout)
      ->capture_default_str();
  app.add_option("--format", session.format,
                 "table for people, json (one object) for programs")
      ->type_name("NAME")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

// An empty word is a shell variable that is not set rather than a value.
void RefuseEmptyValues(CLI::App& command) {
  for (CLI::Option* const option : command.get_options()) {
    option->check([](const std::string& text) {
      return std::string(text.empty() ? "must not be empty" : "");
    });
  }
}

// Complains that no subcommand was given, or one that there is not.
int FailNoSubcommand(const Session& session,
                     const std::vector<Subcommand>& commands,
                     const std::vector<std::string>& words) {
  const std::string names = absl::StrJoin(
      commands, ", ", [](std::string* out, const Subcommand& command) {
        out->append(command.app->get_name());
      });
  if (words.empty()) {
    return Fail(session, kUsage,
                absl::StrCat("no subcommand given, allowed: ", names));
  }
  if (absl::StartsWith(words.front(), "-")) {
    return Fail(session, kUsage,
                absl::StrCat(words.front(),
                             ": no flag of lossctl, see lossctl --help"));
  }
  return Fail(session, kUsage,
              absl::StrCat("unknown subcommand '", words.front(),
                           "', allowed: ", names));
}

// Complains of what no flag took.
int FailUnknown(const Session& session, const Subcommand& command,
                const std::vector<std::string>& unknown) {
  const auto flag = std::find_if(
      unknown.begin(), unknown.end(),
      [](const auto& argument) { return absl::StartsWith(argument, "-"); });
  if (flag == unknown.end()) {
    return Fail(session, kUsage,
                absl::StrCat("'", unknown.front(), "' is not expected"));
  }
  const std::string name = flag->substr(0, flag->find('='));
  if (command.explain_unknown && absl::StartsWith(name, "--")) {
    return Fail(session, kUsage, command.explain_unknown(name));
  }
  return Fail(
      session, kUsage,
      absl::StrCat(name, ": no flag of ", command.app->get_name(),
                   ", see lossctl ", command.app->get_name(), " --help"));
}

int Run(const std::vector<std::string>& arguments, Session& session) {
  CLI::App app("Losses and gradients from lossd", "lossctl");
  // So that --server may stand before and after the subcommand.
  app.fallthrough();
  app.allow_extras();
  // That there is one is checked below, where an unknown one can be named.
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(34);
  AddGlobalFlags(app, session);
  const std::vector<Subcommand> commands = {AddList(app),
                                            AddDescribe(app),
                                            AddChoose(app),
                                            AddCompare(app),
                                            AddCompute(app, LossOf(arguments)),
                                            AddVerify(app),
                                            AddBench(app),
                                            AddHealth(app),
                                            AddInfo(app)};
  for (const Subcommand& command : commands) RefuseEmptyValues(*command.app);
  try {
    app.parse(Reversed(arguments));
  } catch (const CLI::ParseError& error) {
    // Help is an error of CLI11 too, of exit code 0.
    if (error.get_exit_code() == 0) return app.exit(error, session.out);
    return Fail(session, kUsage, error.what());
  }
  for (const Subcommand& command : commands) {
    if (!command.app->parsed()) continue;
    const std::vector<std::string> unknown = app.remaining(true);
    return unknown.empty() ? command.run(session)
                           : FailUnknown(session, command, unknown);
  }
  return FailNoSubcommand(session, commands, app.remaining());
}

}  // namespace

int RunLossctl(const std::vector<std::string>& arguments, std::ostream& out,
               std::ostream& err) {
  Session session{.out = out, .err = err};
  try {
    const int exit_code = Run(arguments, session);
    if (exit_code != kOk || out.flush()) return exit_code;
    return Fail(session, kFailed, "the output could not be written");
  } catch (const std::exception& error) {
    // Memory, for files as large as it is.
    return Fail(session, kFailed, absl::StrCat("internal: ", error.what()));
  }
}

}  // namespace lossd::cli
