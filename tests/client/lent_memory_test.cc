// The caller's memory: gRPC has no more of it once a call has returned.

#include "client/lent_memory.h"

#include <grpcpp/generic/async_generic_service.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
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

using client_internal::LentMemory;

TEST(LentMemory, IsReturnedWithItsLastSlice) {
  const std::string bytes(100, 'x');
  LentMemory memory;
  EXPECT_EQ(memory.lent(), 0u);
  grpc::Slice first = memory.Lend(bytes.data(), 50);
  grpc::Slice second = memory.Lend(bytes.data() + 50, 50);
  EXPECT_EQ(static_cast<const void*>(second.begin()), bytes.data() + 50);
  EXPECT_EQ(second.size(), 50u);
  EXPECT_EQ(memory.lent(), 2u);
  grpc::Slice part = first.sub(10, 40);
  first = grpc::Slice();
  EXPECT_EQ(memory.lent(), 2u);
  second = grpc::Slice();
  EXPECT_EQ(memory.lent(), 1u);
  part = grpc::Slice();
  EXPECT_EQ(memory.lent(), 0u);
}

TEST(LentMemory, IsWaitedForUntilAnotherThreadReturnsIt) {
  const std::string bytes(100, 'x');
  for (int i = 0; i < 1000; ++i) {
    bool dropped = false;
    std::thread thread;
    {
      LentMemory memory;
      thread = std::thread(
          [&dropped, slice = memory.Lend(bytes.data(), 100)]() mutable {
            dropped = true;
            slice = grpc::Slice();
          });
    }
    EXPECT_TRUE(dropped);
    thread.join();
  }
}

// What is in the caller's memory until a call has returned, and what he does
// with it then.
constexpr uint8_t kBefore = 0xB5;
constexpr uint8_t kAfter = 0xA7;

absl::Status ComputeAndOverwrite(const Client& client, size_t bytes,
                                 absl::Duration deadline) {
  std::vector<uint8_t> memory(bytes, kBefore);
  LossCall call;
  call.predictions = ViewOf(memory);
  const absl::Status status =
      client.Compute(call, {.deadline = deadline}).status();
  memory.assign(bytes, kAfter);
  return status;
}

// Whether memory filled with `byte` is part of `sent`.
bool HasMemoryOf(uint8_t byte, const std::string& sent) {
  return sent.find(std::string(64, static_cast<char>(byte))) !=
         std::string::npos;
}

Client ConnectedTo(const std::string& target) {
  auto client = Client::Connect(target);
  EXPECT_TRUE(client.ok()) << client.status();
  return *client;
}

// More than a connection takes of a call before the server has read some.
constexpr size_t kLarge = 8 << 20;
// More than a socket takes; but gRPC keeps such a request, for a retry.
constexpr size_t kSmall = 250000;
constexpr absl::Duration kShort = absl::Milliseconds(50);

// Knows nothing but GetServerInfo; a Compute is there, and never looked at.
class DeafServer final : public v1::LossService::WithGenericMethod_Compute<
                             v1::LossService::Service> {
 public:
  DeafServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(target_, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    builder.RegisterAsyncGenericService(&computes_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
  }

  ~DeafServer() override {
    server_->Shutdown(std::chrono::system_clock::now());
    queue_->Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) {
    }
  }

  const std::string& target() const { return target_; }

  grpc::Status GetServerInfo(grpc::ServerContext*,
                             const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse* response) override {
    response->mutable_limits()->set_max_message_bytes(2 * kLarge);
    return grpc::Status::OK;
  }

 private:
  const test::TempDir dir_;
  const std::string target_ = "unix:" + (dir_ / "socket");
  grpc::AsyncGenericService computes_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
};

TEST(CallerMemory, ADeadlineWhileTheServerReadsNothing) {
  DeafServer server;
  const Client client = ConnectedTo(server.target());
  for (const size_t bytes : {kSmall, kLarge}) {
    EXPECT_EQ(ComputeAndOverwrite(client, bytes, kShort).code(),
              absl::StatusCode::kDeadlineExceeded);
  }
}

class CallerMemoryBehindARelay : public ::testing::Test {
 protected:
  CallerMemoryBehindARelay() {
    server_.info.mutable_limits()->set_max_message_bytes(2 * kLarge);
    relay_.emplace(server_.target());
    client_.emplace(ConnectedTo(relay_->target()));
  }

  // That nothing was sent of what callers wrote into their memory.
  void ExpectThatMemoryWasSentInTime() {
    // What was still to be sent on this connection comes before this call.
    EXPECT_TRUE(client_->Compute({}).ok());
    EXPECT_EQ(relay_->connections(), 1u);
    EXPECT_TRUE(HasMemoryOf(kBefore, relay_->Sent()));
    EXPECT_FALSE(HasMemoryOf(kAfter, relay_->Sent()));
  }

  test::FakeServer server_;
  std::optional<test::Relay> relay_;
  std::optional<Client> client_;
};

TEST_F(CallerMemoryBehindARelay, ADeadlineOfASmallRequestThatIsBeingWritten) {
  relay_->Freeze();
  // Two, as the deadline may come before the first is written.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ComputeAndOverwrite(*client_, kSmall, kShort).code(),
              absl::StatusCode::kDeadlineExceeded);
  }
  relay_->Thaw();
  ExpectThatMemoryWasSentInTime();
}

TEST_F(CallerMemoryBehindARelay, ADeadlineOfALargeRequestThatIsBeingWritten) {
  relay_->Freeze();
  absl::Notification returned;
  std::thread large([&] {
    EXPECT_EQ(ComputeAndOverwrite(*client_, kLarge, kShort).code(),
              absl::StatusCode::kDeadlineExceeded);
    returned.Notify();
  });
  // As long as gRPC writes, it does not return. Would it, then it is now.
  returned.WaitForNotificationWithTimeout(2 * kShort);
  relay_->Thaw();
  large.join();
  ExpectThatMemoryWasSentInTime();
}

TEST_F(CallerMemoryBehindARelay, AConnectionThatBreaksWhileGrpcIsWriting) {
  relay_->Freeze();
  std::thread large([&] {
    EXPECT_EQ(
        ComputeAndOverwrite(*client_, kLarge, absl::InfiniteDuration()).code(),
        absl::StatusCode::kUnavailable);
  });
  while (!relay_->HasUnread(100000)) std::this_thread::yield();
  relay_.reset();
  large.join();
  // Nor is there a connection for those that come now.
  for (const size_t bytes : {kSmall, kLarge}) {
    EXPECT_EQ(
        ComputeAndOverwrite(*client_, bytes, absl::InfiniteDuration()).code(),
        absl::StatusCode::kUnavailable);
  }
}

TEST_F(CallerMemoryBehindARelay, AServerThatFailsTheCall) {
  server_.before_compute = [](auto*) {
    return grpc::Status(grpc::StatusCode::ABORTED, "not today");
  };
  for (const size_t bytes : {kSmall, kLarge}) {
    EXPECT_EQ(
        ComputeAndOverwrite(*client_, bytes, absl::InfiniteDuration()).code(),
        absl::StatusCode::kAborted);
  }
}

}  // namespace
}  // namespace lossd
