#include "server/listen/rpc_listener.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/server/raw_calls.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

// Answers every call with its client's name.
class NamingService final : public grpc::CallbackGenericService {
  class Reactor final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Reactor(const std::string& peer) {
      Finish({grpc::StatusCode::ABORTED, peer});
    }
    void OnDone() override { delete this; }
  };
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* call) override {
    return new Reactor(call->peer());
  }
};

class RpcListenerTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto listener = RpcListener::Listen(
        {.addresses = {*ParseListenAddress(GetParam() + ":0")}});
    ASSERT_THAT(listener, IsOk());
    listener_ = *std::move(listener);
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(&service_);
    listener_->AddTo(builder, grpc::InsecureServerCredentials());
    server_ = builder.BuildAndStart();
    listener_->Serve();
  }
  void TearDown() override {
    listener_->Stop();
    server_->Shutdown();
  }

  // The client's name.
  static std::string Call(const std::shared_ptr<grpc::Channel>& channel) {
    std::string reply;
    return CallRaw(channel, "/any.Service/Any", "", &reply).error_message();
  }

  NamingService service_;
  std::unique_ptr<RpcListener> listener_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_P(RpcListenerTest, EndsTheConnectionOfAPeer) {
  const auto one = Connect(listener_->addresses()[0]);
  const auto other = Connect(listener_->addresses()[0]);
  const std::string name = Call(one);
  const std::string other_name = Call(other);
  ASSERT_NE(name, other_name);
  ASSERT_EQ(one->GetState(false), GRPC_CHANNEL_READY);

  listener_->Close(name);
  EXPECT_TRUE(one->WaitForStateChange(
      GRPC_CHANNEL_READY,
      std::chrono::system_clock::now() + std::chrono::minutes(1)));
  EXPECT_EQ(Call(other), other_name);
}

INSTANTIATE_TEST_SUITE_P(Addresses, RpcListenerTest,
                         testing::Values("127.0.0.1", "[::1]"),
                         [](const auto& parameter) {
                           return parameter.index == 0 ? "Ipv4" : "Ipv6";
                         });

}  // namespace
}  // namespace lossd
