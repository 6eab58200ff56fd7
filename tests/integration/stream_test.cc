// ComputeStream through a running server.

#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/compute.h"
#include "lossd/v1/status.pb.h"
#include "proto/wire/stream_limits.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/integration/stream_calls.h"
#include "tests/support/loss_cases.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr size_t kChunk = size_t{1} << 20;

// One call, through the generated stub.
class Call {
 public:
  explicit Call(const RunningServer& server)
      : stream_(server.stub().ComputeStream(&context_)) {}
  ~Call() { context_.TryCancel(); }

  grpc::ClientContext& context() { return context_; }
  bool Write(const v1::ComputeStreamRequest& message) {
    return stream_->Write(message);
  }
  void WritesDone() { stream_->WritesDone(); }
  std::optional<v1::ComputeStreamResponse> Read() {
    v1::ComputeStreamResponse message;
    if (!stream_->Read(&message)) return std::nullopt;
    return message;
  }
  grpc::Status Finish() { return stream_->Finish(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriterInterface<v1::ComputeStreamRequest,
                                                    v1::ComputeStreamResponse>>
      stream_;
};

// Sends all, beside reading what comes.
struct Outcome {
  grpc::Status status;
  std::vector<v1::ComputeStreamResponse> messages;
};
Outcome Exchange(const RunningServer& server,
                 const std::vector<v1::ComputeStreamRequest>& messages) {
  Call call(server);
  std::thread writer([&] {
    for (const auto& message : messages) {
      if (!call.Write(message)) return;
    }
    call.WritesDone();
  });
  Outcome outcome;
  while (auto message = call.Read()) {
    outcome.messages.push_back(*std::move(message));
  }
  writer.join();
  outcome.status = call.Finish();
  return outcome;
}

class StreamTest : public testing::Test {
 protected:
  // Reads the page of the metrics until it has this sample.
  void Await(const std::string& sample) const {
    while (server_.Get("/metrics").find(sample + "\n") == std::string::npos) {
      std::this_thread::yield();
    }
  }

  double Sample(const std::string& name) const {
    const std::string page = server_.Get("/metrics");
    const size_t at = page.find("\n" + name + " ");
    return at == std::string::npos
               ? 0
               : std::stod(page.substr(at + name.size() + 2));
  }

  const RunningServer server_;
};

TEST_F(StreamTest, LossesOfEveryKind) {
  for (const LossCase& loss_case : LossCases()) {
    SCOPED_TRACE(loss_case.name);
    const Problem problem = test::Sample(loss_case, {300, 37}, Dtype::kFloat32);
    if (problem.traits().layout == RowLayout::kWhole) continue;
    const Form form{.dtype = Dtype::kFloat32};
    const v1::LossItem item = ItemOf(problem, form);
    const Outcome outcome =
        Exchange(server_, Messages(TakeApart(item), Order::kSidesFirst, 5000));
    ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
    EXPECT_TRUE(SameAnswers(AnswerOf(Joined(outcome.messages, item).result),
                            Solve(problem, form)));
  }
}

// 64 MiB of predictions in chunks of 1 MiB.
TEST_F(StreamTest, ALargeTensor) {
  constexpr int64_t kElements = int64_t{16} << 20;
  std::vector<float> predictions(kElements);
  std::vector<float> targets(kElements);
  for (size_t i = 0; i < predictions.size(); ++i) {
    predictions[i] = static_cast<float>(i % 10007) / 16;
    targets[i] = static_cast<float>(i % 777);
  }
  std::vector<float> gradient(kElements);
  const std::array shape = {kElements};
  const auto expected = Compute(
      {.params = MeanSquaredErrorParams{}},
      {.predictions = {Dtype::kFloat32, shape,
                       std::as_bytes(std::span(predictions))},
       .targets = {Dtype::kFloat32, shape, std::as_bytes(std::span(targets))}},
      {.gradient = std::as_writable_bytes(std::span(gradient))}, 1);
  ASSERT_THAT(expected, IsOk());

  std::vector<v1::ComputeStreamRequest> messages = {MseHeader(kElements)};
  const auto add = [&](const std::string& name, const std::vector<float>& from,
                       size_t first) {
    std::string data(kChunk, '\0');
    std::memcpy(data.data(), &from[first], kChunk);
    messages.push_back(
        ChunkOf(name, static_cast<int64_t>(first), std::move(data)));
  };
  for (size_t i = 0; i < predictions.size(); i += kChunk / sizeof(float)) {
    add("targets", targets, i);
    add("predictions", predictions, i);
  }
  const Outcome outcome = Exchange(server_, messages);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  const StreamReply reply =
      Joined(outcome.messages, messages[0].header().item());
  EXPECT_EQ(reply.result.loss(), expected->loss);
  EXPECT_EQ(reply.result.loss_sum(), expected->loss_sum);
  ASSERT_EQ(reply.result.gradient().data().size(), 4 * gradient.size());
  EXPECT_EQ(std::memcmp(reply.result.gradient().data().data(), gradient.data(),
                        4 * gradient.size()),
            0);
  Await("lossd_items_total{code=\"OK\",loss=\"mean_squared_error\"} 1");
  Await("lossd_item_elements_total{loss=\"mean_squared_error\"} 16777216");
  Await("lossd_rpc_completed_total{code=\"OK\",method=\"ComputeStream\"} 1");
}

TEST_F(StreamTest, ARefusedElementEndsTheCall) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::string data(80000, '\0');
  std::memcpy(&data[60000], &infinity, sizeof(infinity));
  const Outcome outcome =
      Exchange(server_, {MseHeader(30000),
                         ChunkOf("targets", 0, std::string(120000, '\0')),
                         ChunkOf("predictions", 0, data)});
  EXPECT_EQ(outcome.status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(outcome.status.error_message(),
              HasSubstr("predictions.data[15000]: got inf"));
  v1::Status details;
  EXPECT_TRUE(details.ParseFromString(outcome.status.error_details()));
  EXPECT_EQ(details.details_size(), 1);
  Await(
      "lossd_items_total{code=\"INVALID_ARGUMENT\",loss=\"mean_squared_error\"}"
      " 1");
}

TEST_F(StreamTest, WhatIsNoMessage) {
  const auto reply =
      server_.Send("/lossd.v1.LossService/ComputeStream", {"\xff\xff"});
  EXPECT_EQ(reply.status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(reply.status.error_message(),
              HasSubstr("2 bytes received are no "
                        "lossd.v1.ComputeStreamRequest"));
}

// The answer to a chunk comes before the next one is sent.
TEST_F(StreamTest, StepByStep) {
  constexpr int64_t kBlock = 4096;
  Call call(server_);
  ASSERT_TRUE(call.Write(MseHeader(3 * kBlock)));
  for (int64_t first = 0; first < 3 * kBlock; first += kBlock) {
    const std::string data(size_t{4} * kBlock, '\0');
    ASSERT_TRUE(call.Write(ChunkOf("targets", first, data)));
    ASSERT_TRUE(call.Write(ChunkOf("predictions", first, data)));
    const auto reply = call.Read();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->chunk().first_element(), first);
    EXPECT_EQ(reply->chunk().data().size(), data.size());
  }
  call.WritesDone();
  const auto last = call.Read();
  ASSERT_TRUE(last.has_value());
  EXPECT_TRUE(last->has_result());
  EXPECT_FALSE(call.Read().has_value());
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(StreamTest, AClientThatGoesAway) {
  for (const int chunks : {0, 1, 20}) {
    Call call(server_);
    ASSERT_TRUE(call.Write(MseHeader(int64_t{1} << 40)));
    for (int i = 0; i < chunks; ++i) {
      const int64_t first = i * static_cast<int64_t>(kChunk / sizeof(float));
      call.Write(ChunkOf("targets", first, std::string(kChunk, '\0')));
      call.Write(ChunkOf("predictions", first, std::string(kChunk, '\0')));
      if (!call.Read()) break;
    }
  }
  Await(
      "lossd_rpc_completed_total{code=\"CANCELLED\",method=\"ComputeStream\"} "
      "3");
}

// Nobody reads: the server stops reading, too. Until the deadline it is offered
// far more than it may take.
TEST_F(StreamTest, AClientThatDoesNotRead) {
  Call slow(server_);
  std::thread writer([&slow] {
    if (!slow.Write(MseHeader(int64_t{1} << 40))) return;
    for (int64_t i = 0; i < 2000; ++i) {
      const int64_t first = i * static_cast<int64_t>(kChunk / sizeof(float));
      for (const char* tensor : {"targets", "predictions"}) {
        if (!slow.Write(ChunkOf(tensor, first, std::string(kChunk, '\0')))) {
          return;
        }
      }
    }
  });
  // Outputs are sent until the bound and the windows of HTTP/2 are full.
  const std::string sent =
      "lossd_rpc_sent_bytes_total{method=\"ComputeStream\"}";
  const std::string received =
      "lossd_rpc_received_bytes_total{method=\"ComputeStream\"}";
  double last = -1;
  // It stands still when other calls are served and nothing more is received.
  for (int still = 0; still < 300;) {
    EXPECT_TRUE(server_.Serving());
    const double now = Sample(received);
    still = now == last && now > 0 ? still + 1 : 0;
    last = now;
  }
  slow.context().TryCancel();
  writer.join();
  EXPECT_GT(Sample(received), 8e6);
  EXPECT_LT(Sample(received), 100e6);
  EXPECT_LT(Sample(sent), 100e6);
}

// Memory for one stream at a time.
TEST(StreamMemoryTest, AStreamWithoutMemoryIsRefused) {
  const RunningServer server(
      ServerOptions{.threads = 1, .memory_budget = wire::kStreamBytes});
  {
    Call call(server);
    ASSERT_TRUE(call.Write(MseHeader(4096)));
    ASSERT_TRUE(call.Write(ChunkOf("targets", 0, std::string(16384, '\0'))));
    ASSERT_TRUE(
        call.Write(ChunkOf("predictions", 0, std::string(16384, '\0'))));
    ASSERT_TRUE(call.Read().has_value());
    const Outcome refused = Exchange(server, {MseHeader(0)});
    EXPECT_EQ(refused.status.error_code(), grpc::UNAVAILABLE);
    EXPECT_THAT(refused.status.error_message(), HasSubstr("memory"));
    call.WritesDone();
    EXPECT_TRUE(call.Read()->has_result());
    EXPECT_TRUE(call.Finish().ok());
  }
  // The memory comes back a moment after the client knows.
  while (!Exchange(server, {MseHeader(0)}).status.ok())
    std::this_thread::yield();
}

TEST(StreamShutdownTest, DoesNotWaitForIdleStreamsForEver) {
  std::optional<RunningServer> server(
      ServerOptions{.threads = 1, .drain_timeout = 0.1});
  Call call(*server);
  ASSERT_TRUE(call.Write(MseHeader(5000)));
  ASSERT_TRUE(call.Write(ChunkOf("targets", 0, std::string(20000, '\0'))));
  ASSERT_TRUE(call.Write(ChunkOf("predictions", 0, std::string(19000, '\0'))));
  ASSERT_TRUE(call.Read().has_value());
  server.reset();
  EXPECT_THAT(call.Finish().error_code(),
              AnyOf(grpc::UNAVAILABLE, grpc::CANCELLED));
}

}  // namespace
}  // namespace lossd::test
