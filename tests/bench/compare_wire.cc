// Calls lossd, the echo and the Python service when told to; compare_wire.py
// tells, so that they have their turns one after the other.
//
// A line on stdin, a line of JSON on stdout, {"refused": WHY} for what failed:
//
//   lossd NAME ADDRESS    connects             -> {"streams": BOOL}
//   open NAME ADDRESS     connects to a peer   -> {}
//   load ID NAME ITEMS ELEMENTS    of that lossd's requests
//                                  -> {"request_bytes": N, "reply_bytes": N}
//   drop ID                                    -> {}
//   turn KIND NAME ID CALLERS CALLS            -> {"wall_ms": X, "ms": [X...]}
//        sdk      of lossd, through the C++ SDK, into buffers of the caller
//        raw      of lossd, as bytes
//        stream   of lossd, as bytes by ComputeStream
//        echo, echo_stream    of the echo, the same bytes each way; a stream
//                             after lossd's, which tells how many come back
//        python   of the Python service
//   fairness ADDRESS LARGE_ID SMALL_ID SECONDS
//             -> {"large_calls": N, "small_ms": [X...], "health_ms": [X...]}
//   flood ADDRESS ID CALLERS CALLS
//             -> {"served": N, "retryable": N, "other": N, "message": TEXT}

#include <cmath>
#include <cstring>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "tests/bench/wire_request.h"
#include "tests/bench/wire_stress.h"

namespace lossd::bench {
namespace {

using Json = nlohmann::json;

constexpr char kService[] = "/lossd.v1.LossService/";
// Mean losses in float, as the Python service has them, agree to this.
constexpr double kTolerance = 2e-3;

struct Loaded {
  std::unique_ptr<WireRequest> request;
  size_t reply_bytes = 0;
  double loss = 0;
  // Made by the first turn of a stream.
  std::vector<grpc::ByteBuffer> stream_messages;
  size_t stream_reply_bytes = 0;
};

Json Refused(const std::string& why) { return {{"refused", why}}; }

Json Refused(const grpc::Status& status) {
  return Refused(std::to_string(status.error_code()) + " " +
                 status.error_message());
}

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message())};
}

grpc::Status CallSdk(const Client& client, const std::vector<LossCall>& calls) {
  if (calls.size() == 1) return ToGrpc(client.Compute(calls[0]).status());
  const auto results = client.ComputeBatch(calls);
  if (!results.ok()) return ToGrpc(results.status());
  for (const auto& result : *results) {
    if (!result.ok()) return ToGrpc(result.status());
  }
  return grpc::Status::OK;
}

// The reply is the loss, a double, and the gradient.
grpc::Status CallPython(const RawMethod& method, const Loaded& loaded) {
  grpc::ByteBuffer reply;
  grpc::Status status = method.Call(loaded.request->plain(), &reply);
  if (!status.ok()) return status;
  double loss = 0;
  std::vector<grpc::Slice> slices;
  if (reply.Length() != sizeof(loss) + loaded.request->gradient_bytes() ||
      !reply.Dump(&slices).ok() || slices.front().size() < sizeof(loss)) {
    return {grpc::StatusCode::INTERNAL, "not the reply of the Python service"};
  }
  std::memcpy(&loss, slices.front().begin(), sizeof(loss));
  // A fast wrong answer is no answer.
  if (std::abs(loss - loaded.loss) <= kTolerance * loaded.loss) return status;
  return {grpc::StatusCode::INTERNAL, "the Python service's loss is " +
                                          std::to_string(loss) + ", lossd's " +
                                          std::to_string(loaded.loss)};
}

class Session {
 public:
  Json Obey(const std::string& line) {
    std::istringstream words(line);
    std::string command, name;
    words >> command >> name;
    if (command == "lossd") return Connect(name, Word(words));
    if (command == "open") {
      channels_[name] = Open(Word(words));
      return Json::object();
    }
    if (command == "load") return Load(name, words);
    if (command == "drop") {
      requests_.erase(name);
      return Json::object();
    }
    if (command == "turn") return Turn(name, words);
    if (command == "fairness") return AskFairness(name, words);
    if (command == "flood") return AskFlood(name, words);
    Die("compare_wire: no command " + command);
  }

 private:
  static std::string Word(std::istream& words) {
    std::string word;
    if (!(words >> word)) Die("compare_wire: a word is missing");
    return word;
  }
  static int Number(std::istream& words) { return std::stoi(Word(words)); }

  Loaded& Find(const std::string& id) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) Die("compare_wire: nothing loaded as " + id);
    return found->second;
  }

  std::shared_ptr<grpc::Channel> Channel(const std::string& name) const {
    const auto found = channels_.find(name);
    if (found == channels_.end()) Die("compare_wire: not connected: " + name);
    return found->second;
  }

  Json Connect(const std::string& name, const std::string& address) {
    const absl::StatusOr<Client> client = Client::Connect(address);
    if (!client.ok()) return Refused(ToGrpc(client.status()));
    const auto info = client->GetServerInfo();
    if (!info.ok()) return Refused(ToGrpc(info.status()));
    clients_.insert_or_assign(name, *client);
    channels_[name] = Open(address);
    return {{"streams", info->streams()}};
  }

  Json Load(const std::string& id, std::istream& words) {
    const std::string name = Word(words);
    const auto items = static_cast<size_t>(Number(words));
    const auto elements = static_cast<size_t>(Number(words));
    Loaded loaded;
    loaded.request = std::make_unique<WireRequest>(
        items, elements, clients_.at(name).numerics_version());
    const RawMethod compute(Channel(name), std::string(kService) + "Compute");
    grpc::ByteBuffer reply;
    grpc::Status status = compute.Call(loaded.request->framed(), &reply);
    if (!status.ok()) return Refused(status);
    loaded.reply_bytes = reply.Length();
    status = ReadReply(reply, &loaded.loss);
    if (!status.ok()) return Refused(status);
    Json answer = {{"request_bytes", loaded.request->size()},
                   {"reply_bytes", loaded.reply_bytes}};
    requests_.insert_or_assign(id, std::move(loaded));
    return answer;
  }

  Json Turn(const std::string& kind, std::istream& words) {
    const std::string name = Word(words);
    Loaded& loaded = Find(Word(words));
    const auto callers = static_cast<size_t>(Number(words));
    const int calls = Number(words);
    std::vector<std::vector<float>> gradients;
    std::vector<Caller> making;
    for (size_t i = 0; i < callers; ++i) {
      if (kind == "sdk") {
        gradients.emplace_back(loaded.request->gradient_bytes() /
                               sizeof(float));
        making.push_back([&client = clients_.at(name),
                          calls = loaded.request->Calls(gradients.back())] {
          return CallSdk(client, calls);
        });
      } else {
        making.push_back(RawCaller(kind, Channel(name), loaded));
      }
    }
    const Times times = TimeCalls(making, calls);
    if (!times.status.ok()) return Refused(times.status);
    return {{"wall_ms", times.wall_ms}, {"ms", times.ms}};
  }

  static Caller RawCaller(const std::string& kind,
                          const std::shared_ptr<grpc::Channel>& channel,
                          Loaded& loaded) {
    const auto unary = [&channel](const std::string& name) {
      return std::make_shared<const RawMethod>(channel, name);
    };
    if (kind == "raw" || kind == "echo") {
      return [method =
                  unary(kind == "raw" ? std::string(kService) + "Compute"
                                      : "/echo/unary/" +
                                            std::to_string(loaded.reply_bytes)),
              request = loaded.request->framed(), bytes = loaded.reply_bytes] {
        return method->CallFor(bytes, request);
      };
    }
    if (kind == "python") {
      return [method = unary("/PythonService/MeanSquaredError"), &loaded] {
        return CallPython(*method, loaded);
      };
    }
    if (kind == "stream") return LossStream(channel, loaded);
    if (kind == "echo_stream") return EchoStream(channel, loaded);
    Die("compare_wire: no kind of turn " + kind);
  }

  static Caller LossStream(const std::shared_ptr<grpc::Channel>& channel,
                           Loaded& loaded) {
    if (loaded.stream_messages.empty()) {
      loaded.stream_messages = loaded.request->StreamMessages();
    }
    return [channel, &loaded]() -> grpc::Status {
      grpc::Status status =
          CallStream(channel, std::string(kService) + "ComputeStream",
                     loaded.stream_messages, &loaded.stream_reply_bytes);
      if (!status.ok() ||
          loaded.stream_reply_bytes > loaded.request->gradient_bytes()) {
        return status;
      }
      return {grpc::StatusCode::INTERNAL, "ComputeStream without gradient"};
    };
  }

  static Caller EchoStream(const std::shared_ptr<grpc::Channel>& channel,
                           const Loaded& loaded) {
    if (loaded.stream_messages.empty()) Die("compare_wire: stream goes first");
    const size_t answer =
        loaded.stream_reply_bytes / loaded.stream_messages.size();
    return [channel, &loaded, name = "/echo/stream/" + std::to_string(answer)] {
      size_t received = 0;
      return CallStream(channel, name, loaded.stream_messages, &received);
    };
  }

  Json AskFairness(const std::string& address, std::istream& words) {
    const Loaded& large = Find(Word(words));
    const Loaded& small = Find(Word(words));
    const Fairness result =
        MeasureFairness(address, *large.request, *small.request, Number(words));
    if (!result.status.ok()) return Refused(result.status);
    return {{"large_calls", result.large_calls},
            {"small_ms", result.small_ms},
            {"health_ms", result.health_ms}};
  }

  Json AskFlood(const std::string& address, std::istream& words) {
    const Loaded& loaded = Find(Word(words));
    const int callers = Number(words);
    const Outcomes outcomes =
        Flood(address, *loaded.request, callers, Number(words));
    return {{"served", outcomes.served},
            {"retryable", outcomes.retryable},
            {"other", outcomes.other},
            {"message", outcomes.other_message}};
  }

  std::map<std::string, Client> clients_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  std::map<std::string, Loaded> requests_;
};

}  // namespace
}  // namespace lossd::bench

int main() {
  lossd::bench::Session session;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << session.Obey(line) << std::endl;
  }
  // gRPC's own threads may sit in a poll of 10 s.
  std::_Exit(0);
}
