#include "tests/support/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

extern char** environ;

namespace lossd::test {
namespace {

std::string LineOf(std::FILE* file) {
  std::string line;
  for (int c = 0; (c = std::fgetc(file)) != EOF;) {
    line += static_cast<char>(c);
    if (c == '\n') break;
  }
  return line;
}

std::string AllOf(std::FILE* file) {
  std::string text;
  for (std::string line; !(line = LineOf(file)).empty();) text += line;
  return text;
}

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> words) {
  std::array<int, 2> output = {};
  std::array<int, 2> errors = {};
  EXPECT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
  EXPECT_EQ(pipe2(errors.data(), O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors[1], STDERR_FILENO);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  EXPECT_EQ(posix_spawnp(&pid_, words[0].c_str(), &actions, nullptr,
                         pointers.data(), environ),
            0)
      << words[0];
  posix_spawn_file_actions_destroy(&actions);
  close(output[1]);
  close(errors[1]);
  output_ = fdopen(output[0], "r");
  errors_ = fdopen(errors[0], "r");
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  std::fclose(output_);
  std::fclose(errors_);
}

std::string ChildProcess::ReadLine() { return LineOf(output_); }

std::string ChildProcess::ReadAll() { return AllOf(output_); }

std::string ChildProcess::Errors() { return AllOf(errors_); }

void ChildProcess::Signal(int number) const { kill(pid_, number); }

int ChildProcess::Wait() {
  int status = 0;
  EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace lossd::test
