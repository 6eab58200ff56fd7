// The program lossctl, as a function.

#ifndef LOSSD_CLIENT_CLI_LOSSCTL_H_
#define LOSSD_CLIENT_CLI_LOSSCTL_H_

#include <iosfwd>
#include <string>
#include <vector>

namespace lossd::cli {

// Runs the command line `arguments` (without the program's name), prints the
// outcome to `out` and errors to `err`, and returns the exit code: 0 for
// success, 1 when the request failed, 2 when the command line or one of its
// files cannot be used. Reads the environment's LOSSD_SERVER.
int RunLossctl(const std::vector<std::string>& arguments, std::ostream& out,
               std::ostream& err);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_LOSSCTL_H_
