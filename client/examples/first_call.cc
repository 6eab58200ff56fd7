// The Huber loss of four predictions, and its gradient.
//
//   lossd &
//   first_call 127.0.0.1:50051

#include <iostream>
#include <vector>

#include "client/client.h"

int main(int argc, char** argv) {
  auto client = lossd::Client::Connect(argc > 1 ? argv[1] : "127.0.0.1:50051");
  if (!client.ok()) {
    std::cerr << client.status().message() << "\n";
    return 1;
  }

  const std::vector<float> predictions = {0.5f, -1.0f, 3.0f, 0.2f};
  const std::vector<float> targets = {0.0f, 1.0f, 2.5f, 0.2f};
  std::vector<float> gradient(predictions.size());

  lossd::LossCall call;
  call.loss.mutable_huber()->set_delta(1.0);
  call.predictions = lossd::ViewOf(predictions);
  call.targets = lossd::ViewOf(targets);
  call.gradient = lossd::MutableViewOf(gradient);
  auto result = client->Compute(call);
  if (!result.ok()) {
    std::cerr << result.status().message() << "\n";
    return 1;
  }

  std::cout << "loss " << result->loss << "\ngradient";
  for (float slope : gradient) std::cout << " " << slope;
  std::cout << "\n";
}
