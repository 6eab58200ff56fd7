// lossctl in the process of the test.

#ifndef LOSSD_TESTS_CLIENT_CLI_RUN_LOSSCTL_H_
#define LOSSD_TESTS_CLIENT_CLI_RUN_LOSSCTL_H_

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/cli/lossctl.h"

namespace lossd::cli {

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

// Runs `lossctl LINE`, words separated by spaces.
inline Outcome Lossctl(const std::string& line) {
  std::ostringstream out;
  std::ostringstream err;
  const std::vector<std::string> words =
      absl::StrSplit(line, ' ', absl::SkipEmpty());
  const int exit_code = RunLossctl(words, out, err);
  return {exit_code, out.str(), err.str()};
}

}  // namespace lossd::cli

#endif  // LOSSD_TESTS_CLIENT_CLI_RUN_LOSSCTL_H_
