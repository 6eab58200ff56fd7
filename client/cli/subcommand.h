// A subcommand of lossctl: its flags, and what it does.

#ifndef LOSSD_CLIENT_CLI_SUBCOMMAND_H_
#define LOSSD_CLIENT_CLI_SUBCOMMAND_H_

#include <CLI/App.hpp>
#include <functional>
#include <string>

#include "client/cli/session.h"

namespace lossd::cli {

struct Subcommand {
  // Its command line; owned by the program's.
  CLI::App* app;
  // Does the work with the flags as parsed, prints the outcome and returns the
  // exit code.
  std::function<int(const Session&)> run;
  // What to say of a flag that this subcommand does not have.
  std::function<std::string(const std::string& flag)> explain_unknown;
};

// Each adds its flags to `app`; the result is valid as long as `app`.

// list: names of the losses, grouped by task.
Subcommand AddList(CLI::App& app);
// describe LOSS: everything the server says of it.
Subcommand AddDescribe(CLI::App& app);
// choose: recommends a loss for two files; asks no server.
Subcommand AddChoose(CLI::App& app);
// compare: every loss that fits two files.
Subcommand AddCompare(CLI::App& app);
// compute: one loss. `loss` is the value of --loss on the command line to be
// parsed, empty if there is none: its options become flags.
Subcommand AddCompute(CLI::App& app, const std::string& loss);
// verify: compares the server's answers with stored ones.
Subcommand AddVerify(CLI::App& app);
// bench: puts the server under load.
Subcommand AddBench(CLI::App& app);
// health: whether the server serves.
Subcommand AddHealth(CLI::App& app);
// info: version, limits and capabilities of the server.
Subcommand AddInfo(CLI::App& app);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_SUBCOMMAND_H_
