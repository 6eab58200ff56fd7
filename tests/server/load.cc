#include "tests/server/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/server/raw_calls.h"

namespace lossd {
namespace {

constexpr int kCallers = 4;
constexpr int kElements = 1 << 15;

v1::ComputeRequest Request() {
  v1::ComputeRequest request;
  v1::LossItem* item = request.add_items();
  item->mutable_loss()->mutable_mean_squared_error();
  item->mutable_outputs()->set_gradient(true);
  item->mutable_predictions()->set_dtype(v1::DTYPE_FLOAT32);
  item->mutable_predictions()->add_shape(kElements);
  item->mutable_predictions()->mutable_data()->resize(kElements *
                                                      sizeof(float));
  *item->mutable_targets() = item->predictions();
  return request;
}

}  // namespace

Load::Load(const std::string& address) {
  for (int i = 0; i < kCallers; ++i) {
    callers_.emplace_back([this, address] { Call(address); });
  }
}

void Load::Call(const std::string& address) {
  const v1::ComputeRequest request = Request();
  const auto stub = v1::LossService::NewStub(Connect(address));
  while (true) {
    grpc::ClientContext context;
    v1::ComputeResponse response;
    const grpc::Status status = stub->Compute(&context, request, &response);
    if (!status.ok()) {
      // CANCELLED is what gRPC's core does to calls that arrive after its
      // shutdown has begun and before the client knows.
      EXPECT_THAT(status.error_code(),
                  testing::AnyOf(grpc::StatusCode::UNAVAILABLE,
                                 grpc::StatusCode::CANCELLED))
          << status.error_message();
      return;
    }
    EXPECT_EQ(response.results(0).gradient().data().size(), 4 * kElements);
    ++successes_;
  }
}

void Load::AwaitSuccesses(int count) const {
  while (successes_ < count) std::this_thread::yield();
}

void Load::AwaitRefusals() {
  for (std::thread& caller : callers_) caller.join();
  callers_.clear();
}

}  // namespace lossd
