// The program lossd, started and watched by a test.

#ifndef LOSSD_TESTS_SERVER_LOSSD_PROCESS_H_
#define LOSSD_TESTS_SERVER_LOSSD_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lossd {

class LossdProcess {
 public:
  explicit LossdProcess(const std::vector<std::string>& arguments);
  // Kills it if it still runs.
  ~LossdProcess();
  LossdProcess(const LossdProcess&) = delete;
  LossdProcess& operator=(const LossdProcess&) = delete;

  // Reads the log up to this event. Null at the end of the log.
  nlohmann::json AwaitEvent(const std::string& event);

  void Signal(int number) const;

  // Waits for its end. The exit code; minus the signal that killed it.
  int Wait();

  // All of standard error, after Wait.
  std::string Errors();

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  std::FILE* output_ = nullptr;
  std::FILE* errors_ = nullptr;
};

}  // namespace lossd

#endif  // LOSSD_TESTS_SERVER_LOSSD_PROCESS_H_
