// A program that a test starts, listens to and ends.

#ifndef LOSSD_TESTS_SUPPORT_CHILD_PROCESS_H_
#define LOSSD_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace lossd::test {

class ChildProcess {
 public:
  // The program, looked for in PATH unless it is a path, and its arguments.
  explicit ChildProcess(std::vector<std::string> words);
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Of standard output, with its end; empty at the end.
  std::string ReadLine();
  // All that is left of standard output.
  std::string ReadAll();
  // All of standard error, when it has ended.
  std::string Errors();

  void Signal(int number) const;

  // Waits for its end. The exit code; minus the signal that killed it.
  int Wait();

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  std::FILE* output_ = nullptr;
  std::FILE* errors_ = nullptr;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_CHILD_PROCESS_H_
