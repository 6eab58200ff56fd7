#include "tests/integration/lossctl_program.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "absl/strings/str_split.h"

namespace lossd::cli {

pid_t Start(const std::string& program, const std::vector<std::string>& words,
            int out, int err) {
  const std::string path = absl::StrCat(LOSSD_BIN_DIR, "/", program);
  std::vector<std::string> arguments = {program};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, path.c_str(), &actions, nullptr,
                                pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << path << ": " << std::strerror(error);
  return error == 0 ? pid : -1;
}

int Wait(pid_t pid) {
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

ServerProcess::ServerProcess(const std::vector<std::string>& flags) {
  std::array<int, 2> ends = {};
  EXPECT_EQ(pipe(ends.data()), 0);
  std::vector<std::string> words = {
      "--listen", "127.0.0.1:0", "--metrics_listen", "", "--threads", "2"};
  words.insert(words.end(), flags.begin(), flags.end());
  pid_ = Start("lossd", words, ends[1], STDERR_FILENO);
  close(ends[1]);
  log_ = fdopen(ends[0], "r");
  // Ends at the line, or, if lossd does not start, at the end of the pipe.
  std::array<char, 4096> line = {};
  while (address_.empty() &&
         fgets(line.data(), static_cast<int>(line.size()), log_) != nullptr) {
    const Json json = Json::parse(line.data(), nullptr, false);
    if (json.is_object() && json.value("event", "") == "serving") {
      address_ = json["listen"][0];
    }
  }
  EXPECT_FALSE(address_.empty()) << "lossd did not say that it serves";
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    EXPECT_EQ(Wait(pid_), 0);
  }
  fclose(log_);
}

Outcome LossctlTest::Lossctl(const std::string& line,
                             const std::string& address) const {
  std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
  words.insert(words.end(), {"--server", address});
  FILE* const out = fopen(Path("out").c_str(), "w+");
  FILE* const err = fopen(Path("err").c_str(), "w+");
  Outcome outcome;
  outcome.exit_code = Wait(Start("lossctl", words, fileno(out), fileno(err)));
  fclose(out);
  fclose(err);
  outcome.out = ReadFile(Path("out")).value_or("");
  outcome.err = ReadFile(Path("err")).value_or("");
  return outcome;
}

}  // namespace lossd::cli
