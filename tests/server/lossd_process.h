// The program lossd, started and watched by a test.

#ifndef LOSSD_TESTS_SERVER_LOSSD_PROCESS_H_
#define LOSSD_TESTS_SERVER_LOSSD_PROCESS_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/child_process.h"

namespace lossd {

class LossdProcess : public test::ChildProcess {
 public:
  // `program` is what comes before the arguments: another path, or another
  // program that starts it.
  explicit LossdProcess(const std::vector<std::string>& arguments,
                        std::vector<std::string> program = {LOSSD_BIN_DIR
                                                            "/lossd"});

  // Reads the log up to this event. Null at the end of the log.
  nlohmann::json AwaitEvent(const std::string& event);
};

}  // namespace lossd

#endif  // LOSSD_TESTS_SERVER_LOSSD_PROCESS_H_
