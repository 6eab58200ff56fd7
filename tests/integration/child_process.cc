#include "tests/integration/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

extern char** environ;

namespace lossd::test {

ChildProcess::ChildProcess(std::vector<std::string> words) {
  std::array<int, 2> output = {};
  EXPECT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDERR_FILENO);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  EXPECT_EQ(posix_spawnp(&pid_, words[0].c_str(), &actions, nullptr,
                         pointers.data(), environ),
            0)
      << words[0];
  posix_spawn_file_actions_destroy(&actions);
  close(output[1]);
  output_ = fdopen(output[0], "r");
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  std::fclose(output_);
}

std::string ChildProcess::ReadLine() {
  std::string line;
  for (int c = 0; (c = std::fgetc(output_)) != EOF;) {
    line += static_cast<char>(c);
    if (c == '\n') break;
  }
  return line;
}

std::string ChildProcess::ReadAll() {
  std::string text;
  for (std::string line; !(line = ReadLine()).empty();) text += line;
  return text;
}

void ChildProcess::Signal(int number) const { kill(pid_, number); }

int ChildProcess::Wait() {
  int status = 0;
  EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace lossd::test
