#include "client/load_connection.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/client/fake_server.h"
#include "tests/support/status_matchers.h"

namespace lossd::client_internal {
namespace {

using ::testing::StartsWith;

constexpr absl::Duration kLong = absl::Seconds(60);

TEST(LoadConnectionTest, SendsBytesAndParsesTheReply) {
  test::FakeServer server;
  v1::ComputeRequest request;
  request.add_items();
  request.add_items();
  const std::string bytes = request.SerializeAsString();
  const LoadConnection connection(server.target());
  EXPECT_THAT(connection.Connect(kLong), IsOk());
  const auto reply = connection.Compute(bytes, kLong);
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply->response.results_size(), 2);
  EXPECT_EQ(reply->response.results(1).loss(), 1);
  EXPECT_EQ(reply->bytes, reply->response.ByteSizeLong());
  EXPECT_EQ(server.requests().at(0).SerializeAsString(), bytes);
}

TEST(LoadConnectionTest, FailuresHaveTheirCodeAndTheTarget) {
  test::FakeServer server;
  server.before_compute = [](auto*) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too much");
  };
  const LoadConnection connection(server.target());
  EXPECT_THAT(connection.Compute("", kLong),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       StartsWith(server.target())));
}

TEST(LoadConnectionTest, SaysThatThereIsNoConnection) {
  const LoadConnection connection("unix:/nonexistent/socket");
  EXPECT_THAT(connection.Connect(absl::Milliseconds(10)),
              StatusIs(absl::StatusCode::kUnavailable,
                       StartsWith("unix:/nonexistent/socket: no connection")));
  EXPECT_THAT(connection.Compute("", kLong),
              StatusIs(absl::StatusCode::kUnavailable, StartsWith("unix:")));
}

// A connection of its own each: else both calls would come from one peer.
TEST(LoadConnectionTest, ConnectionsAreNotShared) {
  test::FakeServer server("127.0.0.1:0");
  std::set<std::string> peers;
  server.before_compute = [&](grpc::ServerContext* context) {
    peers.insert(context->peer());
    return grpc::Status::OK;
  };
  const LoadConnection first(server.target());
  const LoadConnection second(server.target());
  EXPECT_THAT(first.Compute("", kLong), IsOk());
  EXPECT_THAT(second.Compute("", kLong), IsOk());
  EXPECT_EQ(peers.size(), 2U);
}

// Implements nothing, but says so.
std::unique_ptr<grpc::Server> Serve(grpc::Service* service,
                                    const std::string& target) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(target, grpc::InsecureServerCredentials());
  builder.RegisterService(service);
  return builder.BuildAndStart();
}

TEST(LoadConnectionTest, FindsAServerThatComesBack) {
  const test::TempDir folder;
  const std::string target = "unix:" + (folder / "socket");
  v1::LossService::Service service;
  auto server = Serve(&service, target);
  const LoadConnection connection(target);
  EXPECT_TRUE(absl::IsUnimplemented(connection.Compute("", kLong).status()));
  server->Shutdown();
  server.reset();
  while (!absl::IsUnavailable(connection.Compute("", kLong).status())) {
  }
  server = Serve(&service, target);
  int calls = 1;
  while (absl::IsUnavailable(connection.Compute("", kLong).status())) ++calls;
  // It is looked for every second, 20 ms a call.
  EXPECT_LT(calls, 200);
  server->Shutdown();
}

}  // namespace
}  // namespace lossd::client_internal
