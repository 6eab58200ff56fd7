// Calls that are refused before, or because of, the memory they would take.

#include "server/admission.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "server/service.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::chrono::hours kForever(1);

// What an admission was answered.
class Outcome {
 public:
  Admission::Done Done() {
    return [this](absl::StatusOr<MemoryBudget::Reservation> memory) {
      ++calls_;
      answer_.set_value(std::move(memory));
    };
  }
  int calls() const { return calls_; }
  absl::StatusOr<MemoryBudget::Reservation> Wait() {
    return answer_.get_future().get();
  }

 private:
  std::atomic<int> calls_ = 0;
  std::promise<absl::StatusOr<MemoryBudget::Reservation>> answer_;
};

TEST(AdmissionTest, WhatThereIsIsGivenAtOnce) {
  MemoryBudget budget(100, 1);
  Outcome outcome;
  Admission admission(budget, kForever);
  admission.Start(60, nullptr, outcome.Done());
  ASSERT_EQ(outcome.calls(), 1);
  EXPECT_EQ(outcome.Wait()->bytes(), 60);
  admission.Cancel();
  EXPECT_EQ(outcome.calls(), 1);
}

TEST(AdmissionTest, WaitsForRoom) {
  MemoryBudget budget(100, 1);
  auto other = budget.TryReserve(50);
  Outcome outcome;
  Admission admission(budget, kForever);
  admission.Start(60, nullptr, outcome.Done());
  EXPECT_EQ(outcome.calls(), 0);
  EXPECT_EQ(budget.figures().waiting, 1U);
  other->Shrink(40);
  EXPECT_EQ(outcome.Wait()->bytes(), 60);
}

TEST(AdmissionTest, DoesNotWaitForEver) {
  MemoryBudget budget(100, 1);
  const auto other = budget.TryReserve(50);
  Outcome outcome;
  Admission admission(budget, std::chrono::milliseconds(1));
  admission.Start(60, nullptr, outcome.Done());
  EXPECT_THAT(outcome.Wait(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("60 bytes")));
  EXPECT_EQ(budget.figures().waiting, 0U);
}

TEST(AdmissionTest, MoreThanThereEverIs) {
  MemoryBudget budget(100, 1);
  Outcome outcome;
  Admission admission(budget, kForever);
  admission.Start(101, nullptr, outcome.Done());
  EXPECT_THAT(outcome.Wait(), StatusIs(absl::StatusCode::kResourceExhausted,
                                       HasSubstr("budget of 100")));
}

TEST(AdmissionTest, TooManyWait) {
  MemoryBudget budget(100, 1);
  const auto other = budget.TryReserve(50);
  Outcome first;
  Outcome second;
  Admission waiting(budget, kForever);
  Admission refused(budget, kForever);
  waiting.Start(60, nullptr, first.Done());
  refused.Start(1, nullptr, second.Done());
  EXPECT_THAT(second.Wait(), StatusIs(absl::StatusCode::kUnavailable,
                                      "there is no memory now for the 1 bytes "
                                      "of this call, try again later"));
  waiting.Cancel();
  EXPECT_THAT(first.Wait(),
              StatusIs(absl::StatusCode::kCancelled, "the call was cancelled"));
  EXPECT_EQ(budget.figures().waiting, 0U);
  waiting.Cancel();
  EXPECT_EQ(first.calls(), 1);
}

// Whoever wins, it is answered once and nothing stays reserved.
TEST(AdmissionTest, RoomTimeoutAndCancellationAtOnce) {
  for (int i = 0; i < 200; ++i) {
    MemoryBudget budget(100, 1);
    auto other = budget.TryReserve(50);
    Outcome outcome;
    {
      Admission admission(budget, std::chrono::milliseconds(i % 3));
      admission.Start(60, nullptr, outcome.Done());
      std::thread release([&] { other.reset(); });
      admission.Cancel();
      release.join();
      // What it was given goes back here.
      outcome.Wait().IgnoreError();
    }
    EXPECT_EQ(outcome.calls(), 1);
    EXPECT_EQ(budget.figures().reserved, 0);
    EXPECT_EQ(budget.figures().waiting, 0U);
  }
}

// Lines of the metrics page.
std::string Rejected(const std::string& reason, int calls) {
  return "lossd_admission_rejected_total{reason=\"" + reason + "\"} " +
         std::to_string(calls) + "\n";
}
std::string Cancelled(const std::string& cause, const std::string& phase,
                      int calls) {
  return "lossd_cancelled_total{cause=\"" + cause + "\",phase=\"" + phase +
         "\"} " + std::to_string(calls) + "\n";
}
std::string Calls(const std::string& stage, int calls) {
  return "lossd_stage_duration_seconds_count{stage=\"" + stage + "\"} " +
         std::to_string(calls) + "\n";
}

constexpr int64_t kBudget = 1 << 20;
constexpr int64_t kLimit = 1'000'000;

// A service with a budget, of which the test takes what it likes.
class ServiceTest : public testing::Test {
 protected:
  explicit ServiceTest(size_t max_jobs = 100)
      : scheduler_(
            {.threads = 1, .max_jobs = max_jobs},
            [this](size_t jobs) {
              jobs_ = jobs;
              jobs_.notify_all();
            },
            [](size_t, double) {}) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::LossService::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                            grpc::InsecureChannelCredentials()));
  }

  // Sends a request of the mean squared error of so many doubles.
  grpc::Status Send(
      size_t elements, const std::string& announced = "",
      std::optional<std::chrono::milliseconds> deadline = std::nullopt) {
    v1::ComputeRequest request;
    v1::LossItem& item = *request.add_items();
    item.mutable_loss()->mutable_mean_squared_error();
    item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT64);
    item.mutable_predictions()->add_shape(static_cast<int64_t>(elements));
    item.mutable_predictions()->set_data(std::string(8 * elements, '\0'));
    *item.mutable_targets() = item.predictions();
    item.mutable_outputs()->set_gradient(true);
    context_of_call_ = std::make_unique<grpc::ClientContext>();
    if (deadline) {
      context_of_call_->set_deadline(std::chrono::system_clock::now() +
                                     *deadline);
    }
    if (!announced.empty()) {
      context_of_call_->AddMetadata(wire::kAnnouncedBytesHeader, announced);
    }
    return stub_->Compute(context_of_call_.get(), request, &response_);
  }

  // The delay that the status's details and the trailer agree on, in ms.
  int64_t RetryDelay(const grpc::Status& status) {
    v1::Status details;
    EXPECT_TRUE(details.ParseFromString(status.error_details()));
    if (details.details_size() != 1) return -1;
    EXPECT_EQ(details.details(0).type_url(),
              "type.googleapis.com/google.rpc.RetryInfo");
    v1::RetryInfo retry;
    EXPECT_TRUE(retry.ParseFromString(details.details(0).value()));
    const int64_t delay = retry.retry_delay().nanos() / 1'000'000;
    const auto& trailer = context_of_call_->GetServerTrailingMetadata();
    const auto pushback = trailer.find("grpc-retry-pushback-ms");
    if (pushback == trailer.end()) return -1;
    EXPECT_EQ(std::string(pushback->second.data(), pushback->second.size()),
              std::to_string(delay));
    return delay;
  }

  // Ends what there is. After this, everything has been counted.
  std::string Page() {
    server_->Shutdown();
    server_->Wait();
    return metrics_.Text();
  }

  Metrics metrics_{1};
  const BatchLimits limits_{.max_items = 1, .max_message_bytes = kLimit};
  std::atomic<bool> abandon_ = false;
  MemoryBudget budget_{kBudget, 10};
  BufferPool pool_{0};
  std::atomic<size_t> jobs_ = 0;
  Scheduler scheduler_;
  const Authenticator authenticator_{""};
  const ComputeContext context_{scheduler_, budget_,  pool_,         metrics_,
                                limits_,    abandon_, authenticator_};
  LossServiceImpl service_{context_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::LossService::Stub> stub_;
  std::unique_ptr<grpc::ClientContext> context_of_call_;
  v1::ComputeResponse response_;
};

TEST_F(ServiceTest, WhatIsAnnouncedIsReserved) {
  const auto others = budget_.TryReserve(kBudget - 60'000);
  // 1000 doubles are 16 KB and 8 KB in the reply; the whole message limit would
  // not be free. Computed on gRPC's thread, and by the scheduler.
  EXPECT_TRUE(Send(1000, "17000,9000").ok());
  EXPECT_TRUE(Send(2100, "34000,18000").ok());
  EXPECT_EQ(response_.results(0).gradient().data().size(), 16800U);
  EXPECT_EQ(Send(1000).error_code(), grpc::StatusCode::UNAVAILABLE);
  Page();
  EXPECT_EQ(budget_.figures().reserved, kBudget - 60'000);
  EXPECT_EQ(pool_.figures().used, 0);
}

TEST_F(ServiceTest, WithoutMemoryTheBodyIsNotRead) {
  const auto others = budget_.TryReserve(kBudget);
  const grpc::Status status = Send(1000, "17000,9000");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("26000 bytes"));
  EXPECT_EQ(RetryDelay(status), 200);
  const std::string page = Page();
  EXPECT_THAT(
      page,
      HasSubstr("lossd_rpc_received_bytes_total{method=\"Compute\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("lossd_rpc_completed_total{code=\"UNAVAILABLE\","
                              "method=\"Compute\"} 1\n"));
  EXPECT_THAT(page, HasSubstr(Rejected("memory", 1)));
}

TEST_F(ServiceTest, AnAnnouncementThatIsNone) {
  const grpc::Status status = Send(1, "many");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("lossd-bytes: got 'many'"));
  // It is no announcement that was refused.
  EXPECT_THAT(Page(), Not(ContainsRegex("_rejected_total\\{[^}]*\\} [1-9]")));
}

TEST_F(ServiceTest, ARequestLargerThanAnnounced) {
  const grpc::Status status = Send(1000, "16000,9000");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("the 16000 of metadata"));
}

TEST_F(ServiceTest, AnAnnouncementLargerThanTheBudget) {
  const grpc::Status status = Send(1000, "1000000,1000000");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("budget of 1048576 bytes"));
  EXPECT_THAT(Page(), HasSubstr(Rejected("too_large", 1)));
}

TEST_F(ServiceTest, AnAnnouncementBeyondAllReason) {
  EXPECT_TRUE(Send(1000, "17000,9223372036854775807").ok());
  EXPECT_EQ(response_.results(0).gradient().data().size(), 8000U);
  EXPECT_EQ(Send(1000, "9223372036854775807,9223372036854775807").error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  Page();
  EXPECT_EQ(budget_.figures().reserved, 0);
  EXPECT_LE(budget_.figures().high_water, kBudget);
}

// A reply that was announced too small is reserved when its size is known.
TEST_F(ServiceTest, AReplyLargerThanAnnounced) {
  EXPECT_TRUE(Send(1000, "17000,10").ok());
  // It is answered before all it had is returned.
  while (budget_.figures().reserved > 0) std::this_thread::yield();
  const auto others = budget_.TryReserve(kBudget - 17'100);
  const grpc::Status status = Send(1000, "17000,10");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("8000 bytes of the reply"));
  EXPECT_EQ(RetryDelay(status), 200);
  EXPECT_THAT(Page(), HasSubstr(Rejected("memory", 1)));
}

// Both fit alone; trying again would not help.
TEST_F(ServiceTest, ARequestAndItsReplyBeyondTheBudget) {
  const grpc::Status status = Send(60'000);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("budget of 1048576 bytes"));
  EXPECT_THAT(Page(), HasSubstr(Rejected("too_large", 1)));
}

// There is room for no job at all.
class BusyServiceTest : public ServiceTest {
 protected:
  BusyServiceTest() : ServiceTest(0) {}
};

TEST_F(BusyServiceTest, AFullSchedulerRefusesBeforeItReads) {
  const grpc::Status status = Send(1000);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("waiting to be computed"));
  EXPECT_EQ(RetryDelay(status), 100);
  grpc::ClientContext context;
  EXPECT_EQ(stub_->ComputeStream(&context)->Finish().error_code(),
            grpc::StatusCode::UNAVAILABLE);
  const std::string page = Page();
  EXPECT_THAT(
      page,
      HasSubstr("lossd_rpc_received_bytes_total{method=\"Compute\"} 0\n"));
  EXPECT_THAT(page, HasSubstr(Rejected("queue_full", 2)));
  // Nothing was received that could be counted.
  EXPECT_THAT(page, HasSubstr("lossd_rpc_request_bytes_count{method=\"Compute"
                              "\"} 0\n"));
}

// Occupies the scheduler until it is told to end.
class LongJob final : public Job {
 public:
  // `begun` is told when it runs.
  explicit LongJob(std::shared_future<void> end,
                   std::promise<void>* begun = nullptr)
      : end_(std::move(end)), begun_(begun) {}
  const std::string& caller() const override { return caller_; }
  size_t units() const override { return 1; }
  size_t unit_bytes() const override { return 1; }
  void RunUnit(size_t /*unit*/) override {
    if (begun_ != nullptr) begun_->set_value();
    end_.wait();
  }
  bool NextStep() override { return false; }
  bool Unwanted() override { return false; }
  void Answer() override {}

 private:
  const std::string caller_ = "long";
  const std::shared_future<void> end_;
  std::promise<void>* const begun_;
};

// Calls that wait for another job.
class QueueTest : public ServiceTest {
 protected:
  // Sends a call that is not small, and returns when it waits for the other.
  void SendBehindALongJob(
      std::optional<std::chrono::milliseconds> deadline = std::nullopt) {
    end_ = {};
    std::promise<void> begun;
    ASSERT_TRUE(scheduler_.Submit(
        std::make_unique<LongJob>(end_.get_future().share(), &begun)));
    begun.get_future().wait();
    status_ = std::async(std::launch::async,
                         [this, deadline] { return Send(5000, "", deadline); });
    for (size_t jobs = jobs_; jobs < 2; jobs = jobs_) jobs_.wait(jobs);
  }
  // Lets the other job end, and waits for both.
  void EndTheJob() {
    end_.set_value();
    for (size_t jobs = jobs_; jobs > 0; jobs = jobs_) jobs_.wait(jobs);
    while (metrics_.rpcs().in_flight() > 0) std::this_thread::yield();
  }

  std::promise<void> end_;
  std::future<grpc::Status> status_;
};

TEST_F(QueueTest, WhatWaitsHasAllStages) {
  SendBehindALongJob();
  EndTheJob();
  EXPECT_TRUE(status_.get().ok());
  // Too short to wait.
  EXPECT_TRUE(Send(100).ok());
  EXPECT_THAT(
      Page(),
      AllOf(HasSubstr(Calls("admission", 2)), HasSubstr(Calls("decode", 2)),
            HasSubstr(Calls("queue", 1)), HasSubstr(Calls("compute", 2)),
            HasSubstr(Calls("encode", 2)),
            Not(ContainsRegex("_cancelled_total\\{[^}]*\\} [1-9]"))));
}

TEST_F(QueueTest, AClientThatGoesAway) {
  // Nothing tells when the server knows: perhaps while it computes, or later.
  int attempts = 0;
  do {
    SendBehindALongJob();
    context_of_call_->TryCancel();
    EXPECT_EQ(status_.get().error_code(), grpc::StatusCode::CANCELLED);
    EndTheJob();
    ++attempts;
  } while (metrics_.Text().find(Cancelled("client", "queued", 0)) !=
           std::string::npos);
  EXPECT_THAT(Page(),
              AllOf(HasSubstr(Cancelled("client", "queued", 1)),
                    Not(HasSubstr("lossd_cancel_reaction_seconds_count 0\n")),
                    HasSubstr(Calls("queue", attempts)),
                    HasSubstr(Calls("decode", attempts - 1))));
}

TEST_F(QueueTest, TheDeadlinePasses) {
  constexpr std::chrono::milliseconds kTimeout(1000);
  SendBehindALongJob(kTimeout);
  // The server's deadline is so much later than the call's arrival. In
  // metadata it may be rounded, by a hundredth at most.
  const auto deadline =
      std::chrono::system_clock::now() + kTimeout + kTimeout / 100;
  EXPECT_EQ(status_.get().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  std::this_thread::sleep_until(deadline);
  EndTheJob();
  EXPECT_THAT(Page(),
              AllOf(HasSubstr(Cancelled("deadline", "queued", 1)),
                    HasSubstr("lossd_cancel_reaction_seconds_count 1\n")));
}

TEST_F(QueueTest, AServerThatMustEnd) {
  SendBehindALongJob();
  abandon_ = true;
  EndTheJob();
  EXPECT_EQ(status_.get().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(Page(),
              AllOf(HasSubstr(Cancelled("drain", "queued", 1)),
                    HasSubstr("lossd_cancel_reaction_seconds_count 0\n"),
                    Not(ContainsRegex("_rejected_total\\{[^}]*\\} [1-9]"))));
}

// There is room for one job.
class OneJobServiceTest : public ServiceTest {
 protected:
  OneJobServiceTest() : ServiceTest(1) {}
};

TEST_F(OneJobServiceTest, AStreamThatHasBegunIsNotRefused) {
  constexpr int64_t kElements = 100'000;
  grpc::ClientContext context;
  const auto stream = stub_->ComputeStream(&context);
  v1::ComputeStreamRequest header;
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  item.mutable_loss()->mutable_mean_squared_error();
  for (v1::Tensor* tensor :
       {item.mutable_predictions(), item.mutable_targets()}) {
    tensor->set_dtype(v1::DTYPE_FLOAT64);
    tensor->add_shape(kElements);
  }
  item.mutable_outputs()->set_gradient(true);
  ASSERT_TRUE(stream->Write(header));
  const auto write = [&](const char* tensor, int64_t first, int64_t elements) {
    v1::ComputeStreamRequest chunk;
    chunk.mutable_chunk()->set_tensor(tensor);
    chunk.mutable_chunk()->set_first_element(first);
    chunk.mutable_chunk()->set_data(
        std::string(8 * static_cast<size_t>(elements), '\0'));
    ASSERT_TRUE(stream->Write(chunk));
  };
  // The answer to a first block says that the stream was let in.
  write("predictions", 0, 5000);
  write("targets", 0, 5000);
  v1::ComputeStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_THAT(metrics_.Text(), HasSubstr("lossd_streams_open 1\n"));
  std::promise<void> end;
  ASSERT_TRUE(
      scheduler_.Submit(std::make_unique<LongJob>(end.get_future().share())));
  EXPECT_TRUE(scheduler_.Full());
  write("predictions", 5000, kElements - 5000);
  write("targets", 5000, kElements - 5000);
  stream->WritesDone();
  const auto ended = std::async(std::launch::async, [&] {
    while (stream->Read(&response)) continue;
    jobs_ = 0;
    jobs_.notify_all();
  });
  // Until the rest waits for the other job, or the stream has been refused.
  jobs_.wait(1);
  end.set_value();
  ended.wait();
  EXPECT_TRUE(response.has_result());
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(
      Page(),
      AllOf(
          HasSubstr("lossd_streams_open 0\n"),
          HasSubstr("lossd_stream_messages_total{direction=\"received\"} 5\n"),
          HasSubstr(Calls("admission", 1)), HasSubstr(Calls("decode", 1)),
          HasSubstr(Calls("queue", 1)), HasSubstr(Calls("compute", 1)),
          HasSubstr(Calls("encode", 1))));
}

TEST_F(OneJobServiceTest, AStreamThatIsLeft) {
  // Perhaps the server takes it for the end of the messages.
  do {
    grpc::ClientContext context;
    const auto stream = stub_->ComputeStream(&context);
    v1::ComputeStreamRequest message;
    v1::LossItem& item = *message.mutable_header()->mutable_item();
    item.mutable_loss()->mutable_mean_squared_error();
    item.mutable_outputs()->set_gradient(true);
    for (v1::Tensor* tensor :
         {item.mutable_predictions(), item.mutable_targets()}) {
      tensor->set_dtype(v1::DTYPE_FLOAT64);
      tensor->add_shape(10'000);
    }
    ASSERT_TRUE(stream->Write(message));
    for (const char* tensor : {"predictions", "targets"}) {
      message.mutable_chunk()->set_tensor(tensor);
      message.mutable_chunk()->set_data(std::string(8 * 5000, '\0'));
      ASSERT_TRUE(stream->Write(message));
    }
    v1::ComputeStreamResponse response;
    ASSERT_TRUE(stream->Read(&response));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
    while (metrics_.rpcs().in_flight() > 0) std::this_thread::yield();
  } while (metrics_.Text().find(Cancelled("client", "running", 0)) !=
           std::string::npos);
  EXPECT_THAT(Page(), AllOf(HasSubstr(Cancelled("client", "running", 1)),
                            HasSubstr("lossd_streams_open 0\n")));
}

}  // namespace
}  // namespace lossd
