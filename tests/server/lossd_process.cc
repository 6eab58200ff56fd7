#include "tests/server/lossd_process.h"

#include <utility>

namespace lossd {
namespace {

std::vector<std::string> Joined(std::vector<std::string> words,
                                const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

LossdProcess::LossdProcess(const std::vector<std::string>& arguments,
                           std::vector<std::string> program)
    : ChildProcess(Joined(std::move(program), arguments)) {}

nlohmann::json LossdProcess::AwaitEvent(const std::string& event) {
  for (std::string line; !(line = ReadLine()).empty();) {
    nlohmann::json log = nlohmann::json::parse(line);
    if (log["event"] == event) return log;
  }
  return nullptr;
}

}  // namespace lossd
