// Calls lossd through arenas, the library and the echo when told to;
// compare_arena.py tells, so that they have their turns one after the other.
//
//   compare_arena THREADS    of the library
//
// A line on stdin, a line of JSON on stdout, {"refused": WHY} for what failed:
//
//   lossd NAME ADDRESS     a connection of its own            -> {}
//   load ID NAME LOSS ROWS COLUMNS    tensors in an arena of that connection
//        and in ordinary memory; lossd and the library agree of them  -> {}
//   drop ID                                                   -> {}
//   small ADDRESS ECHO_ADDRESS ELEMENTS    a mean_squared_error in an arena, as
//        bytes, and the echo    -> {"request_bytes": N, "reply_bytes": N}
//   turn arena|library ID CALLS    of loaded tensors          -> {"ms": [X...]}
//   turn raw|echo CALLS            of the small ones          -> {"ms": [X...]}
//   share SECONDS ID...    all at once, each calls as often as it can
//                                  -> {"wall_ms": X, "calls": [N...]}

#include <barrier>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/arena_small.h"
#include "tests/bench/arena_tensors.h"
#include "tests/bench/wire_call.h"

namespace lossd::bench {
namespace {

using Json = nlohmann::json;

Json Refused(const absl::Status& status) {
  return {{"refused", status.ToString()}};
}

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message())};
}

std::string Word(std::istream& words) {
  std::string word;
  if (!(words >> word)) Die("compare_arena: a word is missing");
  return word;
}

int Number(std::istream& words) { return std::stoi(Word(words)); }

class Session {
 public:
  explicit Session(int threads) : threads_(threads) {}

  Json Obey(const std::string& line) {
    std::istringstream words(line);
    const std::string command = Word(words);
    if (command == "lossd") return Connect(words);
    if (command == "load") return Load(words);
    if (command == "drop") {
      tensors_.erase(Word(words));
      return Json::object();
    }
    if (command == "small") return LoadSmall(words);
    if (command == "turn") return Turn(words);
    if (command == "share") return Share(words);
    Die("compare_arena: no command " + command);
  }

 private:
  ArenaTensors& Find(const std::string& id) {
    const auto found = tensors_.find(id);
    if (found == tensors_.end()) Die("compare_arena: nothing loaded as " + id);
    return *found->second;
  }

  Json Connect(std::istream& words) {
    const std::string name = Word(words);
    const auto client = Client::Connect(Word(words));
    if (!client.ok()) return Refused(client.status());
    clients_.insert_or_assign(name, *client);
    return Json::object();
  }

  Json Load(std::istream& words) {
    const std::string id = Word(words);
    const Client& client = clients_.at(Word(words));
    const std::string loss = Word(words);
    const auto rows = static_cast<size_t>(Number(words));
    const auto columns = static_cast<size_t>(Number(words));
    auto tensors = ArenaTensors::Make(client, loss, rows, columns);
    if (!tensors.ok()) return Refused(tensors.status());
    const absl::Status status = (*tensors)->Compare(threads_);
    if (!status.ok()) return Refused(status);
    tensors_.insert_or_assign(id, *std::move(tensors));
    return Json::object();
  }

  Json LoadSmall(std::istream& words) {
    const std::string address = Word(words);
    const std::string echo = Word(words);
    auto small =
        ArenaSmall::Make(address, echo, static_cast<size_t>(Number(words)));
    if (!small.ok()) return Refused(small.status());
    small_ = *std::move(small);
    return {{"request_bytes", small_->request_bytes()},
            {"reply_bytes", small_->reply_bytes()}};
  }

  Json Turn(std::istream& words) {
    const Caller caller = CallerOf(words);
    const Times times = TimeCalls({&caller, 1}, Number(words));
    if (times.status.ok()) return {{"ms", times.ms}};
    return {{"refused", times.status.error_message()}};
  }

  Caller CallerOf(std::istream& words) {
    const std::string kind = Word(words);
    if (kind == "raw") return [this] { return small_->CallServer(); };
    if (kind == "echo") return [this] { return small_->CallEcho(); };
    ArenaTensors& tensors = Find(Word(words));
    if (kind == "arena") return [&] { return ToGrpc(tensors.CallServer()); };
    if (kind != "library") Die("compare_arena: no kind of turn " + kind);
    return [&tensors, threads = threads_] {
      return ToGrpc(tensors.CallLibrary(threads));
    };
  }

  Json Share(std::istream& words) {
    const std::chrono::seconds length(Number(words));
    std::vector<ArenaTensors*> sharing;
    for (std::string id; words >> id;) sharing.push_back(&Find(id));
    Clock::time_point start;
    std::barrier all_ready(static_cast<std::ptrdiff_t>(sharing.size()),
                           [&start]() noexcept { start = Clock::now(); });
    std::vector<int> calls(sharing.size());
    std::vector<absl::Status> statuses(sharing.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < sharing.size(); ++i) {
      threads.emplace_back([&, i] {
        statuses[i] = sharing[i]->CallServer();
        all_ready.arrive_and_wait();
        while (statuses[i].ok() && Clock::now() < start + length) {
          statuses[i] = sharing[i]->CallServer();
          ++calls[i];
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const double wall_ms = Milliseconds(start);
    for (const absl::Status& status : statuses) {
      if (!status.ok()) return Refused(status);
    }
    return {{"wall_ms", wall_ms}, {"calls", calls}};
  }

  const int threads_;
  std::map<std::string, Client> clients_;
  std::map<std::string, std::unique_ptr<ArenaTensors>> tensors_;
  std::optional<ArenaSmall> small_;
};

}  // namespace
}  // namespace lossd::bench

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  if (threads < 1) lossd::bench::Die("usage: compare_arena THREADS");
  lossd::bench::Session session(threads);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << session.Obey(line) << std::endl;
  }
  // gRPC's own threads may sit in a poll of 10 s.
  std::_Exit(0);
}
