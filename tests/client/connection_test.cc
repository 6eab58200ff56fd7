// Client::Connect, what holds for every call, and the calls about the server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "client/client.h"
#include "tests/client/fake_server.h"

namespace lossd {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::StartsWith;

LossCall CallOf(const std::vector<float>& values) {
  LossCall call;
  call.predictions = ViewOf(values);
  call.targets = ViewOf(values);
  return call;
}

TEST(Connect, NobodyAnswers) {
  const test::TempDir dir;
  const std::string target = "unix:" + (dir / "nobody");
  const auto client = Client::Connect(target);
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(client.status().message()), StartsWith(target));
}

TEST(Connect, AServerThatNeverAnswersIsUnavailableAtTheDeadline) {
  absl::Notification release;
  test::FakeServer server;
  server.before_info = [&release](auto*) {
    release.WaitForNotification();
    return grpc::Status::OK;
  };
  const auto client = Client::Connect(
      server.target(), {.connect_deadline = absl::Milliseconds(50)});
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(client.status().message()),
              StartsWith(server.target()));
  EXPECT_THAT(client.status().message(), HasSubstr("50ms"));
  release.Notify();
}

TEST(Connect, LearnsTheArithmetic) {
  test::FakeServer server;
  const auto client = Client::Connect(server.target());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(client->numerics_version(), "fake-1");
  EXPECT_EQ(client->target(), server.target());
  server.info.set_numerics_version("fake-2");
  ASSERT_TRUE(client->Compute({}).ok());
  EXPECT_EQ(server.requests()[0].numerics_version(), "fake-1");
}

TEST(Connect, MessageLimitMustBePositive) {
  const auto client = Client::Connect("unix:nowhere", {.max_message_bytes = 0});
  EXPECT_EQ(client.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(client.status().message(), HasSubstr("max_message_bytes"));
}

TEST(Connect, TargetMustBeGiven) {
  const auto client = Client::Connect("");
  EXPECT_EQ(client.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(client.status().message(), HasSubstr("target"));
}

TEST(Connect, OverTcpWithoutTheProxyOfTheEnvironment) {
  test::FakeServer server("127.0.0.1:0");
  ASSERT_EQ(setenv("http_proxy", "http://proxy.invalid:9", 1), 0);
  const auto client = Client::Connect(server.target());
  ASSERT_EQ(unsetenv("http_proxy"), 0);
  EXPECT_TRUE(client.ok()) << client.status();
}

TEST(Deadline, OfTheCallAndOfTheClient) {
  absl::Notification release;
  test::FakeServer server;
  server.before_compute = [&release](auto*) {
    release.WaitForNotification();
    return grpc::Status::OK;
  };
  const auto client =
      Client::Connect(server.target(), {.deadline = absl::Milliseconds(40)});
  ASSERT_TRUE(client.ok()) << client.status();
  const std::vector<float> values(4);
  std::vector<float> gradient(4, -1);
  LossCall call = CallOf(values);
  call.gradient = MutableViewOf(gradient);
  absl::Status status = client->Compute(call).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("40ms"));
  status = client->Compute(call, {.deadline = absl::Milliseconds(30)}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("30ms"));
  release.Notify();
  const auto result =
      client->Compute(call, {.deadline = absl::InfiniteDuration()});
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST(MessageLimit, OfTheServer) {
  test::FakeServer server;
  server.info.mutable_limits()->set_max_message_bytes(1000);
  const auto client = Client::Connect(server.target());
  ASSERT_TRUE(client.ok()) << client.status();
  const std::vector<float> small(100);
  EXPECT_TRUE(client->Compute(CallOf(small)).ok());
  const std::vector<float> large(125);
  const auto result = client->Compute(CallOf(large));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(result.status().message(), HasSubstr("limit of 1000 bytes"));
  EXPECT_THAT(std::string(result.status().message()),
              ContainsRegex("has 10[0-9][0-9] bytes"));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(MessageLimit, RequestsOfExactlyTheLimitAreSent) {
  const std::vector<float> values(100);
  int64_t bytes = 0;
  {
    test::FakeServer server;
    const auto client = Client::Connect(server.target());
    ASSERT_TRUE(client.ok()) << client.status();
    ASSERT_TRUE(client->Compute(CallOf(values)).ok());
    bytes = static_cast<int64_t>(server.requests()[0].ByteSizeLong());
  }
  for (const int64_t limit : {bytes, bytes - 1}) {
    test::FakeServer server;
    server.info.mutable_limits()->set_max_message_bytes(limit);
    const auto client = Client::Connect(server.target());
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_EQ(client->Compute(CallOf(values)).ok(), limit == bytes);
  }
}

TEST(MessageLimit, OfTheClient) {
  test::FakeServer server;
  const auto client =
      Client::Connect(server.target(), {.max_message_bytes = 1000});
  ASSERT_TRUE(client.ok()) << client.status();
  const std::vector<float> large(125);
  auto result = client->Compute(CallOf(large));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(result.status().message(), HasSubstr("limit of 1000 bytes"));

  // A reply above it is refused as well.
  std::vector<double> gradient(110);
  const std::vector<float> small(110);
  LossCall call = CallOf(small);
  call.gradient = MutableViewOf(gradient);
  call.row_losses = gradient;
  result = client->Compute(call);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(result.status().message()),
              StartsWith(server.target()));
}

TEST(MessageLimit, IsNotGrpcsFourMebibytes) {
  test::FakeServer server;
  server.info.mutable_limits()->set_max_message_bytes(
      std::numeric_limits<int64_t>::max());
  const auto client = Client::Connect(server.target());
  ASSERT_TRUE(client.ok()) << client.status();
  const std::vector<float> values(250000);
  std::vector<double> gradient(250000);
  std::vector<double> row_losses(250000);
  LossCall call = CallOf(values);
  call.gradient = MutableViewOf(gradient);
  call.row_losses = row_losses;
  std::vector<LossCall> calls = {call, call, call};
  const auto results = client->ComputeBatch(calls);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ(gradient.back(), 249999);
}

TEST(FailedRpc, KeepsCodeTextAndDetails) {
  test::FakeServer server;
  server.before_compute = [](auto*) {
    v1::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(2);
    v1::Status details;
    auto* detail = details.add_details();
    detail->set_type_url("type.googleapis.com/google.rpc.RetryInfo");
    detail->set_value(retry.SerializeAsString());
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "not mine",
                        details.SerializeAsString());
  };
  const auto client = Client::Connect(server.target());
  ASSERT_TRUE(client.ok()) << client.status();
  const absl::Status status = client->Compute({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), server.target() + ": not mine");
  EXPECT_TRUE(ViolationsOf(status).empty());
  const auto payload =
      status.GetPayload("type.googleapis.com/google.rpc.RetryInfo");
  ASSERT_TRUE(payload.has_value());
  v1::RetryInfo retry;
  ASSERT_TRUE(retry.ParseFromString(std::string(*payload)));
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
}

// Answers Compute with what no parser reads.
class Babbler final : public v1::LossService::WithRawCallbackMethod_Compute<
                          v1::LossService::Service> {
 public:
  grpc::Status GetServerInfo(grpc::ServerContext*,
                             const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse* response) override {
    response->mutable_limits()->set_max_message_bytes(1 << 20);
    return grpc::Status::OK;
  }

  grpc::ServerUnaryReactor* Compute(grpc::CallbackServerContext* context,
                                    const grpc::ByteBuffer*,
                                    grpc::ByteBuffer* reply) override {
    const grpc::Slice babble(std::string("\xFF"));
    *reply = grpc::ByteBuffer(&babble, 1);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

TEST(FailedRpc, AReplyThatCannotBeRead) {
  const test::TempDir dir;
  const std::string target = "unix:" + (dir / "socket");
  Babbler babbler;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(target, grpc::InsecureServerCredentials());
  builder.RegisterService(&babbler);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto client = Client::Connect(target);
  ASSERT_TRUE(client.ok()) << client.status();
  const absl::Status status = client->Compute({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(),
            target + ": No message returned for unary request");
}

TEST(AboutTheServer, LossesAndInfo) {
  test::FakeServer server;
  const auto client = Client::Connect(server.target());
  ASSERT_TRUE(client.ok()) << client.status();
  const auto losses = client->ListLosses();
  ASSERT_TRUE(losses.ok()) << losses.status();
  ASSERT_EQ(losses->size(), 2u);
  EXPECT_EQ((*losses)[0].name(), "huber");
  const auto info = client->GetServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version(), "1.2.3");
}

TEST(CheckHealth, OfTheServerAndOfAService) {
  test::FakeServer server;
  const auto client = Client::Connect(server.target());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE(client->CheckHealth().ok()) << client->CheckHealth();

  server.health()->SetServingStatus("compute", false);
  const absl::Status status = client->CheckHealth("compute");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("not serving"));
  EXPECT_TRUE(client->CheckHealth().ok());
  EXPECT_EQ(client->CheckHealth("nothing").code(), absl::StatusCode::kNotFound);

  server.health()->SetServingStatus(false);
  EXPECT_EQ(client->CheckHealth().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace lossd
