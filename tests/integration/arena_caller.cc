// A client in a process of its own, for tests of what other users may do and
// of clients that are killed.
//
//   arena_caller compute TARGET  computes in an arena and without: "same bits"
//   arena_caller hold TARGET     says "under way", and calls until it is killed
//   arena_caller connect PATH    "connected", or why it cannot, to either
//   socket
//
// Prints one line. Whatever goes wrong is its text, and the exit code is 1.

#include <grpcpp/grpcpp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/strip.h"
#include "client/client.h"
#include "tests/integration/arena_neighbours.h"
#include "tests/server/arena/arena_client.h"
#include "tests/support/unix_sockets.h"

namespace lossd::test {
namespace {

constexpr size_t kElements = 100'000;

absl::StatusOr<std::vector<float>> GradientOf(const Client& client,
                                              std::span<float> predictions,
                                              std::span<float> gradient) {
  const std::vector<float> targets(kElements, 0.5F);
  for (size_t i = 0; i < kElements; ++i) {
    predictions[i] = static_cast<float>(i % 97) / 8;
  }
  LossCall call;
  call.loss.mutable_huber();
  call.predictions = ViewOf(predictions);
  call.targets = ViewOf(targets);
  call.gradient = MutableViewOf(gradient);
  const absl::StatusOr<ClientResult> result = client.Compute(call);
  if (!result.ok()) return result.status();
  return std::vector<float>(gradient.begin(), gradient.end());
}

absl::Status ComputeBoth(const std::string& target) {
  const absl::StatusOr<Client> client = Client::Connect(target);
  if (!client.ok()) return client.status();
  std::vector<float> predictions(kElements);
  std::vector<float> gradient(kElements);
  const auto expected = GradientOf(*client, predictions, gradient);
  if (!expected.ok()) return expected.status();
  absl::StatusOr<ClientArena> arena =
      client->CreateArena(4 * kElements * sizeof(float));
  if (!arena.ok()) return arena.status();
  const auto shared = GradientOf(*client, *arena->Allocate<float>(kElements),
                                 *arena->Allocate<float>(kElements));
  if (!shared.ok()) return shared.status();
  return *shared == *expected ? absl::OkStatus()
                              : absl::InternalError("other bits");
}

absl::Status Connect(const std::string& path) {
  const sockaddr_un name = UnixName(path);
  // One of them is what the socket is.
  for (const int type : {SOCK_SEQPACKET, SOCK_STREAM}) {
    const Descriptor socket(::socket(AF_UNIX, type, 0));
    if (connect(socket.number(), reinterpret_cast<const sockaddr*>(&name),
                sizeof(name)) == 0) {
      return absl::OkStatus();
    }
    if (errno != EPROTOTYPE) break;
  }
  return absl::UnavailableError(strerror(errno));
}

absl::Status Hold(const std::string& target) {
  const absl::StatusOr<Client> client = Client::Connect(target);
  if (!client.ok()) return client.status();
  const auto info = client->GetServerInfo();
  if (!info.ok()) return info.status();
  const ArenaClient socket(
      std::string(absl::StripPrefix(info->arena_address(), "unix:")));
  const OwnArena arena(socket, uint64_t{1} << 20);
  const auto stub = v1::LossService::NewStub(
      grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));
  v1::LossItem item = MseItem(10'000);
  arena.Move(0, item.mutable_predictions());
  const HeldStream stream(*stub, item);
  arena.Move(200'000, item.mutable_targets());
  v1::ComputeRequest request;
  for (int i = 0; i < 32; ++i) *request.add_items() = item;
  const auto call = [&] {
    grpc::ClientContext context;
    v1::ComputeResponse response;
    return stub->Compute(&context, request, &response).ok() &&
           response.results(0).status().code() == 0;
  };
  if (!call()) return absl::InternalError("the first call failed");
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      while (call()) {
      }
    });
  }
  std::cout << "under way" << std::endl;
  for (std::thread& caller : callers) caller.join();
  return absl::InternalError("a call failed");
}

}  // namespace
}  // namespace lossd::test

int main(int argc, char** argv) {
  const std::string what = argc == 3 ? argv[1] : "";
  absl::Status status = absl::InvalidArgumentError("see arena_caller.cc");
  if (what == "compute") status = lossd::test::ComputeBoth(argv[2]);
  if (what == "hold") status = lossd::test::Hold(argv[2]);
  if (what == "connect") status = lossd::test::Connect(argv[2]);
  std::cout << (status.ok() ? what == "compute" ? "same bits" : "connected"
                            : status.ToString())
            << std::endl;
  return status.ok() ? 0 : 1;
}
