// The mean squared error of memory that lossd reads and writes in place.
//
//   lossd --listen=unix:/run/lossd.sock --arena_listen=unix:/run/arena.sock &
//   arena unix:/run/lossd.sock

#include <iostream>
#include <span>

#include "client/client.h"

int main(int argc, char** argv) {
  constexpr size_t kCount = 1 << 20;
  auto client = lossd::Client::Connect(argc > 1 ? argv[1] : "127.0.0.1:50051");
  if (!client.ok()) {
    std::cerr << client.status().message() << "\n";
    return 1;
  }
  // Elsewhere it is ordinary memory, and the tensors travel in messages.
  auto arena = client->CreateArena(16 << 20, {.fall_back = true});
  if (!arena.ok()) {
    std::cerr << arena.status().message() << "\n";
    return 1;
  }

  // 4 MiB each: they fit.
  const std::span<float> predictions = *arena->Allocate<float>(kCount);
  const std::span<float> targets = *arena->Allocate<float>(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    predictions[i] = static_cast<float>(i % 3);
    targets[i] = 1;
  }

  lossd::LossCall call;
  call.loss.mutable_mean_squared_error();
  call.predictions = lossd::ViewOf(predictions);
  call.targets = lossd::ViewOf(targets);
  call.gradient = lossd::MutableViewOf(predictions);
  auto result = client->Compute(call);
  if (!result.ok()) {
    std::cerr << result.status().message() << "\n";
    return 1;
  }
  std::cout << (arena->shared() ? "shared" : "sent") << ", loss "
            << result->loss << ", gradient " << predictions[0] << " "
            << predictions[1] << " " << predictions[2] << " ...\n";
}
