// Client::ComputeChunked against servers that answer as they like.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "client/client.h"
#include "tests/client/fake_server.h"
#include "tests/client/relay.h"

namespace lossd {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Stream = test::FakeServer::Stream;

// More than a connection takes before the server reads.
constexpr size_t kLarge = size_t{16} << 20;
constexpr absl::Duration kShort = absl::Milliseconds(50);

// What is in the caller's memory until a call has returned, and what he does
// with it then.
constexpr uint8_t kBefore = 0xB5;
constexpr uint8_t kAfter = 0xA7;

std::string MessageOf(const absl::Status& status) {
  return std::string(status.message());
}

v1::ComputeStreamResponse GradientOf(const v1::StreamChunk& chunk) {
  v1::ComputeStreamResponse message;
  *message.mutable_chunk() = chunk;
  message.mutable_chunk()->set_tensor("gradient");
  return message;
}

v1::ComputeStreamResponse Result() {
  v1::ComputeStreamResponse message;
  message.mutable_result()->set_loss(1);
  return message;
}

void AwaitCancel(grpc::ServerContext* context) {
  while (!context->IsCancelled()) std::this_thread::yield();
}

// Answers with the predictions as gradient, each chunk at once.
grpc::Status Echo(grpc::ServerContext*, Stream* stream) {
  v1::ComputeStreamRequest message;
  while (stream->Read(&message)) {
    if (message.chunk().tensor() == "predictions") {
      stream->Write(GradientOf(message.chunk()));
    }
  }
  stream->Write(Result());
  return grpc::Status::OK;
}

class ChunkedTest : public ::testing::Test {
 protected:
  ChunkedTest() {
    server_.info.mutable_limits()->set_max_message_bytes(4 * kLarge);
    server_.stream = [this](grpc::ServerContext* context, Stream* stream) {
      ++streams_;
      return answer_(context, stream);
    };
    predictions_.assign(kLarge / sizeof(float), 0.5F);
    gradient_.resize(predictions_.size());
    call_.predictions = ViewOf(predictions_);
    call_.gradient = MutableViewOf(gradient_);
  }

  absl::StatusOr<ClientResult> Compute(
      absl::Duration deadline = absl::InfiniteDuration()) {
    auto client = Client::Connect(server_.target());
    EXPECT_TRUE(client.ok()) << client.status();
    return client->ComputeChunked(call_, {.deadline = deadline});
  }

  test::FakeServer server_;
  std::function<grpc::Status(grpc::ServerContext*, Stream*)> answer_ = Echo;
  std::atomic<int> streams_ = 0;
  std::vector<float> predictions_;
  std::vector<float> gradient_;
  LossCall call_;
};

TEST_F(ChunkedTest, ChunksAreAnsweredOnTheWay) {
  const auto result = Compute();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->loss, 1);
  EXPECT_EQ(gradient_, predictions_);
}

TEST_F(ChunkedTest, AServerThatAnswersAtTheEnd) {
  answer_ = [](auto*, Stream* stream) {
    std::vector<v1::StreamChunk> chunks;
    v1::ComputeStreamRequest message;
    while (stream->Read(&message)) {
      if (message.has_chunk()) chunks.push_back(message.chunk());
    }
    for (const auto& chunk : chunks) stream->Write(GradientOf(chunk));
    stream->Write(Result());
    return grpc::Status::OK;
  };
  EXPECT_TRUE(Compute().ok());
  EXPECT_EQ(gradient_, predictions_);
}

// It reads nothing before everything has been taken from it.
TEST_F(ChunkedTest, AServerThatAnswersBeforeItReads) {
  answer_ = [this](auto*, Stream* stream) {
    v1::StreamChunk chunk;
    for (size_t first = 0; first < gradient_.size(); first += 1 << 18) {
      chunk.set_first_element(static_cast<int64_t>(first));
      chunk.set_data(&predictions_[first], sizeof(float) << 18);
      stream->Write(GradientOf(chunk));
    }
    v1::ComputeStreamRequest message;
    while (stream->Read(&message)) {
    }
    stream->Write(Result());
    return grpc::Status::OK;
  };
  EXPECT_TRUE(Compute().ok());
  EXPECT_EQ(gradient_, predictions_);
}

TEST_F(ChunkedTest, WhatIsWrongHereIsNotSent) {
  const auto expect = [this](const std::string& text) {
    const absl::Status status = Compute().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(status), HasSubstr(text));
    EXPECT_EQ(ViolationsOf(status).size(), 1u);
  };
  call_.gradient.bytes -= 4;
  expect("gradient: got 16777212 bytes, allowed: 4194304 x 4 bytes");
  call_.gradient.bytes += 4;
  std::vector<double> row_losses(7);
  call_.row_losses = row_losses;
  expect("row_losses: got 56 bytes");
  call_.row_losses = {};
  call_.predictions->bytes -= 4;
  expect("predictions.data: got 16777212 bytes");
  call_.predictions->bytes += 4;
  call_.extra_gradients["variance"] = call_.gradient;
  expect("extra_gradients.variance: got a destination");
  EXPECT_EQ(streams_, 0);
  EXPECT_THAT(gradient_, Each(0));
}

TEST_F(ChunkedTest, AHeaderBeyondTheLimit) {
  server_.info.mutable_limits()->set_max_message_bytes(kLarge);
  const std::vector<double> columns(predictions_.size());
  call_.predictions->shape = {1, static_cast<int64_t>(columns.size())};
  call_.extra_inputs["class_weights"] = ViewOf(columns);
  const absl::Status status = Compute().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(MessageOf(status), HasSubstr("more than the message limit"));
  EXPECT_EQ(streams_, 0);
}

TEST_F(ChunkedTest, AnErrorOnTheWayKeepsItsDetails) {
  answer_ = [](auto*, Stream* stream) {
    v1::ComputeStreamRequest message;
    for (int i = 0; i < 3; ++i) stream->Read(&message);
    v1::Status trailer;
    v1::BadRequest bad;
    auto& violation = *bad.add_field_violations();
    violation.set_field("predictions.data");
    violation.set_description(
        "predictions.data[7]: got inf, allowed: finite numbers");
    bad.add_field_violations()->set_description("a text of its own");
    auto& detail = *trailer.add_details();
    detail.set_type_url("type.googleapis.com/google.rpc.BadRequest");
    detail.set_value(bad.SerializeAsString());
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no",
                        trailer.SerializeAsString());
  };
  const absl::Status status = Compute().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), server_.target() + ": no");
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].field(), "predictions.data");
  EXPECT_EQ(violations[0].index(), 7);
  EXPECT_EQ(violations[0].got(), "inf");
  EXPECT_EQ(violations[0].allowed(), "finite numbers");
  EXPECT_EQ(violations[1].got(), "a text of its own");
}

// The end of a call whose request nobody read.
TEST_F(ChunkedTest, AnErrorBeforeAnythingIsRead) {
  answer_ = [](auto*, auto*) {
    return grpc::Status(grpc::StatusCode::CANCELLED, "enough");
  };
  const absl::Status status = Compute().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(status.message(), server_.target() + ": enough");
}

TEST_F(ChunkedTest, AnEndWithoutAResult) {
  answer_ = [](auto*, auto*) { return grpc::Status::OK; };
  const absl::Status status = Compute().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), server_.target() + ": the server sent no result");
}

TEST_F(ChunkedTest, ABrokenReplyCancelsTheCall) {
  absl::Notification cancelled;
  answer_ = [&cancelled](grpc::ServerContext* context, Stream* stream) {
    v1::StreamChunk chunk;
    chunk.set_first_element(5);
    stream->Write(GradientOf(chunk));
    AwaitCancel(context);
    cancelled.Notify();
    return grpc::Status::OK;
  };
  const absl::Status status = Compute().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(MessageOf(status),
              StartsWith(server_.target() + ": the server sent a chunk of "
                                            "gradient"));
  cancelled.WaitForNotification();
}

TEST_F(ChunkedTest, ADeadlineWhileTheServerReadsNothing) {
  answer_ = [](grpc::ServerContext* context, auto*) {
    AwaitCancel(context);
    return grpc::Status::OK;
  };
  const absl::Status status = Compute(kShort).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(), server_.target() + ": no answer within 50ms");
}

// gRPC 1.51 never ends a call that waits for a first message after metadata, if
// both were asked for at once.
TEST_F(ChunkedTest, ADeadlineBetweenMetadataAndTheFirstMessage) {
  answer_ = [](grpc::ServerContext* context, Stream* stream) {
    stream->SendInitialMetadata();
    AwaitCancel(context);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Compute(kShort).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ChunkedTest, ADeadlineWhileTheServerIsSilent) {
  answer_ = [](grpc::ServerContext* context, Stream* stream) {
    v1::ComputeStreamRequest message;
    while (stream->Read(&message)) {
    }
    AwaitCancel(context);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Compute(kShort).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

class ChunkedBehindARelay : public ChunkedTest {
 protected:
  ChunkedBehindARelay() {
    relay_.emplace(server_.target());
    auto client = Client::Connect(relay_->target());
    EXPECT_TRUE(client.ok()) << client.status();
    client_.emplace(*client);
  }

  absl::StatusCode ComputeAndOverwrite(absl::Duration deadline) {
    std::vector<uint8_t> memory(kLarge, kBefore);
    LossCall call;
    call.predictions = ViewOf(memory);
    const absl::Status status =
        client_->ComputeChunked(call, {.deadline = deadline}).status();
    memory.assign(memory.size(), kAfter);
    return status.code();
  }

  bool HasSent(uint8_t byte) {
    return relay_->Sent().find(std::string(64, static_cast<char>(byte))) !=
           std::string::npos;
  }

  std::optional<test::Relay> relay_;
  std::optional<Client> client_;
};

TEST_F(ChunkedBehindARelay, MemoryIsTheCallersAgainAfterADeadline) {
  relay_->Freeze();
  absl::Notification returned;
  std::thread large([&] {
    EXPECT_EQ(ComputeAndOverwrite(kShort), absl::StatusCode::kDeadlineExceeded);
    returned.Notify();
  });
  // As long as gRPC writes, it does not return. Would it, then it is now.
  returned.WaitForNotificationWithTimeout(2 * kShort);
  relay_->Thaw();
  large.join();
  // What was still to be sent on this connection comes before this call.
  EXPECT_TRUE(client_->Compute({}).ok());
  EXPECT_EQ(relay_->connections(), 1u);
  EXPECT_TRUE(HasSent(kBefore));
  EXPECT_FALSE(HasSent(kAfter));
}

TEST_F(ChunkedBehindARelay, AServerThatDies) {
  absl::Notification half;
  answer_ = [&half](grpc::ServerContext* context, Stream* stream) {
    v1::ComputeStreamRequest message;
    for (int i = 0; i < 4; ++i) stream->Read(&message);
    half.Notify();
    AwaitCancel(context);
    return grpc::Status::OK;
  };
  std::thread large([&] {
    EXPECT_EQ(ComputeAndOverwrite(absl::InfiniteDuration()),
              absl::StatusCode::kUnavailable);
  });
  half.WaitForNotification();
  relay_.reset();
  large.join();
}

}  // namespace
}  // namespace lossd
