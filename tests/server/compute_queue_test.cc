#include "server/compute_queue.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "server/service.h"

namespace lossd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void Ignore(size_t /*depth*/) {}

TEST(ComputeQueueTest, RunsJobsInOrderOnOneThread) {
  std::vector<int> order;
  std::vector<std::thread::id> threads;
  {
    ComputeQueue queue(2, 100, Ignore);
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(queue.Push([&, i] {
        order.push_back(i);
        threads.push_back(std::this_thread::get_id());
      }));
    }
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(threads, testing::Each(threads.front()));
  EXPECT_NE(threads.front(), std::this_thread::get_id());
}

TEST(ComputeQueueTest, RefusesWhatItHasNoRoomFor) {
  std::promise<void> started;
  std::promise<void> release;
  std::atomic<int> ran = 0;
  {
    ComputeQueue queue(1, 2, Ignore);
    EXPECT_TRUE(queue.Push([&] {
      started.set_value();
      release.get_future().wait();
    }));
    started.get_future().wait();
    EXPECT_TRUE(queue.Push([&] { ++ran; }));
    EXPECT_TRUE(queue.Push([&] { ++ran; }));
    EXPECT_FALSE(queue.Push([&] { ++ran; }));
    release.set_value();
  }
  EXPECT_EQ(ran, 2);
}

TEST(ComputeQueueTest, TellsItsDepth) {
  std::vector<size_t> depths;
  std::promise<void> release;
  std::promise<void> started;
  {
    ComputeQueue queue(1, 10, [&](size_t depth) { depths.push_back(depth); });
    queue.Push([&] {
      started.set_value();
      release.get_future().wait();
    });
    started.get_future().wait();
    queue.Push([] {});
    queue.Push([] {});
    release.set_value();
  }
  EXPECT_THAT(depths, ElementsAre(1, 0, 1, 2, 1, 0));
}

TEST(ComputeQueueTest, ManyThreadsPush) {
  // Only the queue's thread touches it, so it needs no lock.
  int sum = 0;
  {
    ComputeQueue queue(2, 100000, Ignore);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) queue.Push([&sum] { ++sum; });
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(sum, 4000);
}

// A service whose compute thread is busy until it is told to go on, and whose
// queue has room for one.
class BusyServiceTest : public testing::Test {
 protected:
  BusyServiceTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::LossService::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                            grpc::InsecureChannelCredentials()));
    std::promise<void> begun;
    EXPECT_TRUE(queue_.Push([&] {
      begun.set_value();
      go_on_.get_future().wait();
    }));
    begun.get_future().wait();
  }

  // Also for a test that failed before it asked for the metrics.
  ~BusyServiceTest() override { GoOn(); }

  void GoOn() {
    if (!std::exchange(gone_on_, true)) go_on_.set_value();
  }

  // Ends what waits. After this, everything has been counted.
  std::string Page() {
    GoOn();
    server_->Shutdown();
    server_->Wait();
    return metrics_.Text();
  }

  std::promise<void> go_on_;
  bool gone_on_ = false;
  Metrics metrics_{1};
  const BatchLimits limits_{.max_items = 1, .max_message_bytes = 1 << 20};
  std::atomic<bool> abandon_ = false;
  ComputeQueue queue_{1, 1, Ignore};
  const ComputeContext context_{queue_, metrics_, limits_, abandon_};
  LossServiceImpl service_{context_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::LossService::Stub> stub_;
};

TEST_F(BusyServiceTest, AFullQueueRefusesBeforeItReads) {
  EXPECT_TRUE(queue_.Push([] {}));
  v1::ComputeRequest request;
  request.set_numerics_version(std::string(10'000, 'x'));
  grpc::ClientContext context;
  v1::ComputeResponse response;
  const grpc::Status status = stub_->Compute(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("waiting to be computed"));
  v1::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(),
            "type.googleapis.com/google.rpc.RetryInfo");
  v1::RetryInfo retry;
  EXPECT_TRUE(retry.ParseFromString(details.details(0).value()));
  EXPECT_EQ(retry.retry_delay().nanos(), 100'000'000);
  const std::string page = Page();
  EXPECT_THAT(
      page,
      HasSubstr("lossd_rpc_received_bytes_total{method=\"Compute\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("lossd_rpc_completed_total{code=\"UNAVAILABLE\","
                              "method=\"Compute\"} 1\n"));
}

}  // namespace
}  // namespace lossd
