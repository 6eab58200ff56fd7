// A program that a test starts, listens to and ends.

#ifndef LOSSD_TESTS_INTEGRATION_CHILD_PROCESS_H_
#define LOSSD_TESTS_INTEGRATION_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace lossd::test {

class ChildProcess {
 public:
  // The program, looked for in PATH, and its arguments.
  explicit ChildProcess(std::vector<std::string> words);
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Of what it says, on standard output or as an error; empty at the end.
  std::string ReadLine();
  // All that is left of it.
  std::string ReadAll();

  void Signal(int number) const;

  // Waits for its end. The exit code; minus the signal that killed it.
  int Wait();

 private:
  pid_t pid_ = -1;
  std::FILE* output_ = nullptr;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_CHILD_PROCESS_H_
