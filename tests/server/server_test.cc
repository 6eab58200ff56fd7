// A server in this process, behind real sockets.

#include "server/server.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "server/cpu_budget.h"
#include "server/library_logs.h"
#include "server/metrics/process_metrics.h"
#include "tests/server/load.h"
#include "tests/server/raw_calls.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace lossd {
namespace {

using test::TempDir;

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr int64_t kMaxMessageBytes = 1 << 20;

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    RouteLibraryLogs();
    ServerOptions options;
    options.listen = {"127.0.0.1:0", "unix:" + (dir_ / "socket")};
    options.metrics_listen = "127.0.0.1:0";
    options.threads = 2;
    options.max_message_bytes = kMaxMessageBytes;
    auto server = Server::Start(options);
    EXPECT_THAT(server, IsOk());
    server_ = *std::move(server);
    channel_ = Connect(server_->addresses()[0]);
    stub_ = v1::LossService::NewStub(channel_);
  }

  static v1::ComputeRequest Request() {
    v1::ComputeRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        "items { loss { huber {} }"
        "  predictions { values { values: [0.5, -1, 3, 0.25] } }"
        "  targets { values { values: [0, 1, 2.5, 0.25] } } }",
        &request));
    return request;
  }

  TempDir dir_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LossService::Stub> stub_;
};

void ExpectStatus(const grpc::Status& status, grpc::StatusCode code,
                  const std::string& text) {
  EXPECT_EQ(status.error_code(), code) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr(text));
}

TEST_F(ServerTest, ComputesOnEveryAddress) {
  ASSERT_THAT(server_->addresses(), SizeIs(2));
  for (const std::string& address : server_->addresses()) {
    SCOPED_TRACE(address);
    EXPECT_THAT(address, Not(testing::EndsWith(":0")));
    grpc::ClientContext context;
    v1::ComputeResponse response;
    const grpc::Status status = v1::LossService::NewStub(Connect(address))
                                    ->Compute(&context, Request(), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.results_size(), 1);
    EXPECT_EQ(response.results(0).loss(), 0.4375);
  }
}

TEST_F(ServerTest, InfoAndCatalog) {
  grpc::ClientContext info_context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub_->GetServerInfo(&info_context, {}, &info).ok());
  EXPECT_EQ(info.version(), LOSSD_VERSION);
  EXPECT_EQ(info.compute_threads(), std::min(2, CpuBudget()));
  EXPECT_EQ(info.limits().max_message_bytes(), kMaxMessageBytes);
  EXPECT_EQ(info.limits().max_items(), 16384);
  EXPECT_EQ(info.limits().max_list_values(), 65536);
  EXPECT_EQ(info.limits().max_rank(), 8);
  EXPECT_TRUE(info.streams());
  EXPECT_THAT(info.arena_address(), IsEmpty());
  grpc::ClientContext list_context;
  v1::ListLossesResponse list;
  ASSERT_TRUE(stub_->ListLosses(&list_context, {}, &list).ok());
  EXPECT_GE(list.losses_size(), 9);
}

TEST_F(ServerTest, WhatCannotBeParsed) {
  for (const std::string& bytes :
       {std::string("\xff\xff\xff"), std::string("\x0a\x7f"),
        // numerics_version that is not UTF-8.
        std::string("\x1a\x02\xff\xff")}) {
    ExpectStatus(CallRaw(channel_, kComputePath, bytes, nullptr),
                 grpc::StatusCode::INVALID_ARGUMENT, "ComputeRequest");
  }
}

TEST_F(ServerTest, EmptyMessagesAreNotRead) {
  for (const char* path : {"/lossd.v1.LossService/ListLosses",
                           "/lossd.v1.LossService/GetServerInfo"}) {
    // Field 1000, a text: what a newer client might add.
    EXPECT_TRUE(CallRaw(channel_, path, "\xc2\x3e\x01?", nullptr).ok());
    ExpectStatus(CallRaw(channel_, path,
                         "\xc2\x3e\x80\x20" + std::string(4096, '?'), nullptr),
                 grpc::StatusCode::INVALID_ARGUMENT,
                 "got 4100 bytes, allowed: at most 4096 for a lossd.v1.");
  }
}

TEST_F(ServerTest, MessagesBeyondTheLimit) {
  ExpectStatus(CallRaw(channel_, kComputePath,
                       std::string(kMaxMessageBytes + 1, '\0'), nullptr),
               grpc::StatusCode::RESOURCE_EXHAUSTED,
               std::to_string(kMaxMessageBytes));
}

TEST_F(ServerTest, ExactlyOneMessage) {
  std::vector<std::string> replies;
  ExpectStatus(CallStream(channel_, kComputePath, {}, &replies),
               grpc::StatusCode::INVALID_ARGUMENT, "none");
  ExpectStatus(CallStream(channel_, kComputePath, {"", ""}, &replies),
               grpc::StatusCode::INVALID_ARGUMENT, "one message");
  EXPECT_THAT(replies, IsEmpty());
  EXPECT_TRUE(CallStream(channel_, kComputePath, {""}, &replies).ok());
  EXPECT_THAT(replies, SizeIs(1));
}

TEST_F(ServerTest, MethodsThatAreNotServed) {
  ExpectStatus(CallRaw(channel_, "/lossd.v1.LossService/Guess", "", nullptr),
               grpc::StatusCode::UNIMPLEMENTED, "/lossd.v1.LossService/Guess");
  ExpectStatus(CallRaw(channel_, "/other.Service/Do", "", nullptr),
               grpc::StatusCode::UNIMPLEMENTED, "/other.Service/Do");
}

TEST_F(ServerTest, CompressionIsRefused) {
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::ComputeRequest request = Request();
  // Otherwise the client does not find it worthwhile.
  request.mutable_items(0)
      ->mutable_predictions()
      ->mutable_values()
      ->mutable_values()
      ->Resize(1000, 0);
  v1::ComputeResponse response;
  ExpectStatus(stub_->Compute(&context, request, &response),
               grpc::StatusCode::UNIMPLEMENTED, "gzip");
}

TEST_F(ServerTest, TheDeadline) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() -
                       std::chrono::seconds(1));
  v1::ComputeResponse response;
  EXPECT_EQ(stub_->Compute(&context, Request(), &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_F(ServerTest, ACancelledCallEnds) {
  RawStream(channel_, kComputePath).Write("");
  // Waits for the call above, or does not return.
  server_->Shutdown();
}

TEST_F(ServerTest, Health) {
  std::string reply;
  for (const char* request : {"", "\x0a\x14lossd.v1.LossService"}) {
    ASSERT_TRUE(CallRaw(channel_, kHealthPath, request, &reply).ok());
    EXPECT_EQ(reply, kServing);
  }
  ExpectStatus(CallRaw(channel_, kHealthPath, "\x0a\x01x", &reply),
               grpc::StatusCode::NOT_FOUND, "unknown");
}

TEST_F(ServerTest, ReflectionListsTheService) {
  std::vector<std::string> replies;
  const char* const path =
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  // list_services and file_containing_symbol.
  EXPECT_TRUE(CallStream(channel_, path,
                         {"\x3a\x01*", "\x22\x14lossd.v1.LossService"},
                         &replies)
                  .ok());
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_THAT(replies[0], AllOf(HasSubstr("lossd.v1.LossService"),
                                HasSubstr("grpc.health.v1.Health")));
  EXPECT_THAT(replies[1], HasSubstr("lossd/v1/loss_service.proto"));
}

TEST_F(ServerTest, MetricsPage) {
  grpc::ClientContext context;
  v1::ComputeResponse response;
  ASSERT_TRUE(stub_->Compute(&context, Request(), &response).ok());
  CallRaw(channel_, kComputePath, "\xff", nullptr);
  CallRaw(channel_, "/x.Y/Z", "", nullptr);
  const HttpReply reply = HttpGet(server_->metrics_address(), "/metrics");
  EXPECT_EQ(reply.code, 200);
  const std::string received = std::to_string(Request().ByteSizeLong() + 1);
  for (const std::string& line : {
           std::string("lossd_rpc_started_total{method=\"Compute\"} 2\n"),
           std::string("lossd_rpc_started_total{method=\"other\"} 1\n"),
           "lossd_rpc_received_bytes_total{method=\"Compute\"} " + received,
           "lossd_rpc_sent_bytes_total{method=\"Compute\"} " +
               std::to_string(response.ByteSizeLong()),
           std::string("lossd_rpc_duration_seconds_bucket{method=\"Compute\""),
           std::string("lossd_rpc_in_flight{method=\"Compute\"}"),
           std::string("lossd_items_total{code=\"OK\",loss=\"huber\"} 1\n"),
           std::string("lossd_item_elements_total{loss=\"huber\"} 4\n"),
           std::string("lossd_compute_threads "),
           std::string("lossd_compute_busy_seconds_total "),
           std::string("lossd_queue_depth_requests 0\n"),
           std::string("lossd_build_info{"),
           std::string("lossd_start_time_seconds "),
           std::string("process_cpu_seconds_total "),
           std::string("process_resident_memory_bytes "),
           std::string("process_virtual_memory_bytes "),
           std::string("process_open_fds "),
           std::string("process_max_fds "),
           std::string("process_threads "),
           std::string("process_start_time_seconds "),
       }) {
    EXPECT_THAT(reply.body, HasSubstr(line));
  }
}

TEST_F(ServerTest, CodesAreCountedWhenTheCallIsOver) {
  CallRaw(channel_, kComputePath, "\xff", nullptr);
  // The call ends for the client before it does for the server; after the
  // shutdown it has ended for both.
  const std::string metrics = server_->metrics_address();
  server_->Shutdown();
  EXPECT_THAT(HttpGet(metrics, "/metrics").body,
              HasSubstr("lossd_rpc_completed_total{code=\"INVALID_ARGUMENT\","
                        "method=\"Compute\"} 1\n"));
}

// A reply that does not fit into HTTP/2's window waits for its reader.
TEST_F(ServerTest, AReplyThatNobodyReadsIsCancelled) {
  v1::ComputeRequest request;
  v1::LossItem& item = *request.add_items();
  item.mutable_loss()->mutable_mean_squared_error();
  item.mutable_outputs()->set_gradient(true);
  item.mutable_outputs()->set_gradient_dtype(v1::DTYPE_FLOAT64);
  item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT32);
  item.mutable_predictions()->add_shape(100'000);
  item.mutable_predictions()->mutable_data()->resize(400'000);
  *item.mutable_targets() = item.predictions();
  const std::string& metrics = server_->metrics_address();
  {
    grpc::ChannelArguments arguments;
    // Otherwise gRPC makes the window larger than the reply.
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    RawStream call(grpc::CreateCustomChannel(server_->addresses()[0],
                                             grpc::InsecureChannelCredentials(),
                                             arguments),
                   kComputePath);
    ASSERT_TRUE(call.Write(request.SerializeAsString()));
    call.WritesDone();
    const std::string sent =
        "lossd_rpc_sent_bytes_total{method=\"Compute\"} 800";
    while (HttpGet(metrics, "/metrics").body.find(sent) == std::string::npos) {
      std::this_thread::yield();
    }
  }
  server_->Shutdown();
  EXPECT_THAT(HttpGet(metrics, "/metrics").body,
              HasSubstr("lossd_rpc_completed_total{code=\"CANCELLED\","
                        "method=\"Compute\"} 1\n"));
}

TEST_F(ServerTest, OtherPagesAreNotFound) {
  EXPECT_EQ(HttpGet(server_->metrics_address(), "/healthz").code, 200);
  const HttpReply reply = HttpGet(server_->metrics_address(), "/other");
  EXPECT_EQ(reply.code, 404);
  EXPECT_THAT(reply.body, HasSubstr("/metrics"));
}

TEST_F(ServerTest, SilentConnectionsDoNotBlockTheProbe) {
  const std::string& address = server_->metrics_address();
  std::vector<SilentConnection> silent(3);
  for (SilentConnection& connection : silent) connection.Open(address);
  EXPECT_EQ(HttpGet(address, "/healthz").code, 200);
  // It was not their end that made room.
  for (const SilentConnection& connection : silent) {
    EXPECT_FALSE(connection.Ended());
  }
}

TEST_F(ServerTest, SilentConnectionsEnd) {
  const std::string& address = server_->metrics_address();
  // More than there are threads.
  std::vector<SilentConnection> silent(30);
  for (SilentConnection& connection : silent) connection.Open(address);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(HttpGet(address, "/healthz").code, 200);
  // Far from both: the seconds it takes, and civetweb's own half a minute.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(AdminHttpTest, AnExceptionIsAnAnswer) {
  const auto http = AdminHttp::Start(
      *ParseListenAddress("127.0.0.1:0"),
      {{"/metrics", []() -> AdminReply { throw std::runtime_error("no"); }}});
  ASSERT_THAT(http, IsOk());
  const HttpReply reply = HttpGet((*http)->address(), "/metrics");
  EXPECT_EQ(reply.code, 500);
  EXPECT_EQ(reply.body, "no\n");
}

TEST_F(ServerTest, ThePageForPeople) {
  const HttpReply page = HttpGet(server_->metrics_address(), "/");
  EXPECT_EQ(page.code, 200);
  for (const char* text :
       {"<tr><td>version<td>" LOSSD_VERSION "\n", "<tr><td>state<td>serving\n",
        "<tr><td>max_message_bytes<td>1048576\n", "<tr><td>huber<td>",
        "<a href=\"/metrics\">", "<a href=\"/healthz\">",
        "<tr><td>connections<td>"}) {
    EXPECT_THAT(page.body, HasSubstr(text));
  }
  EXPECT_THAT(page.body, Not(HasSubstr("<script")));
  EXPECT_EQ(HttpGet(server_->metrics_address(), "/livez").body, "alive\n");
}

TEST_F(ServerTest, NoMoreThreadsThanCpus) {
  ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.metrics_listen.clear();
  options.threads = 1024;
  testing::internal::CaptureStdout();
  const auto server = Server::Start(options);
  const std::string log = testing::internal::GetCapturedStdout();
  ASSERT_THAT(server, IsOk());
  const std::string budget = std::to_string(CpuBudget());
  EXPECT_THAT(log, AllOf(HasSubstr("\"threads\":" + budget + ","),
                         HasSubstr("\"threads_wanted\":1024,"),
                         HasSubstr("\"cpu_budget\":" + budget + ",")));
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(v1::LossService::NewStub(Connect((*server)->addresses()[0]))
                  ->GetServerInfo(&context, {}, &info)
                  .ok());
  EXPECT_EQ(info.compute_threads(), CpuBudget());
}

TEST_F(ServerTest, SeveralFreePorts) {
  ServerOptions options;
  options.listen = {"127.0.0.1:0", "127.0.0.1:0"};
  options.metrics_listen.clear();
  const auto server = Server::Start(options);
  ASSERT_THAT(server, IsOk());
  ASSERT_THAT((*server)->addresses(), SizeIs(2));
  EXPECT_NE((*server)->addresses()[0], (*server)->addresses()[1]);
}

TEST_F(ServerTest, ASecondServerDoesNotShareItsAddresses) {
  ServerOptions options;
  options.metrics_listen.clear();
  for (const std::string& address : server_->addresses()) {
    options.listen = {address};
    EXPECT_THAT(Server::Start(options),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         StartsWith("cannot listen on " + address + ": ")));
  }
  options.listen = {"127.0.0.1:0"};
  options.metrics_listen = server_->metrics_address();
  EXPECT_THAT(
      Server::Start(options),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               StartsWith("cannot listen on " + options.metrics_listen)));
}

// Clients keep what goes beyond until there is room.
TEST_F(ServerTest, TellsClientsItsLimits) {
  const auto settings = Http2SettingsOf(server_->addresses()[0]);
  constexpr uint32_t kConcurrentStreams = 3;
  constexpr uint32_t kWindow = 4;
  constexpr uint32_t kFrameSize = 5;
  constexpr uint32_t kHeaderListSize = 6;
  EXPECT_THAT(settings, Contains(Pair(kConcurrentStreams, 128)));
  EXPECT_THAT(settings, Contains(Pair(kWindow, 256 << 10)));
  EXPECT_THAT(settings, Contains(Pair(kFrameSize, 256 << 10)));
  EXPECT_THAT(settings, Contains(Pair(kHeaderListSize, 8192)));
}

TEST_F(ServerTest, MoreMetadataThanTheLimitIsRefused) {
  grpc::ClientContext context;
  context.AddMetadata("much", std::string(9000, 'x'));
  v1::ComputeResponse response;
  const grpc::Status status = stub_->Compute(&context, Request(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED)
      << status.error_message();
  // gRPC closes the connection, which a call may or may not know.
  grpc::ClientContext next;
  const auto stub = v1::LossService::NewStub(Connect(server_->addresses()[0]));
  const grpc::Status after = stub->Compute(&next, Request(), &response);
  EXPECT_TRUE(after.ok()) << after.error_message();
}

TEST_F(ServerTest, NothingIsLeftAfterShutdown) {
  ASSERT_TRUE(std::filesystem::exists(dir_ / "socket"));
  server_->Shutdown();
  server_->Shutdown();
  EXPECT_FALSE(std::filesystem::exists(dir_ / "socket"));
  EXPECT_EQ(HttpGet(server_->metrics_address(), "/healthz").code, 503);
  EXPECT_EQ(CallRaw(channel_, kComputePath, "", nullptr).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, NoAcceptedCallIsLostInAShutdown) {
  Load load(server_->addresses()[0]);
  load.AwaitSuccesses(20);
  server_->Shutdown();
  load.AwaitRefusals();
  // Every call the server knew of succeeded, and was heard of.
  const std::string page = HttpGet(server_->metrics_address(), "/metrics").body;
  const std::string count = std::to_string(load.successes());
  EXPECT_THAT(page, HasSubstr("lossd_rpc_completed_total{code=\"OK\","
                              "method=\"Compute\"} " +
                              count + "\n"));
  EXPECT_THAT(page, HasSubstr("lossd_rpc_started_total{method=\"Compute\"} " +
                              count + "\n"));
}

// A health watch lasts as long as its client likes.
TEST_F(ServerTest, AWatcherDoesNotDelayTheShutdown) {
  RawStream watch(channel_, "/grpc.health.v1.Health/Watch");
  watch.Write("");
  watch.WritesDone();
  std::string reply;
  ASSERT_TRUE(watch.Read(&reply));
  EXPECT_EQ(reply, kServing);
  const auto start = std::chrono::steady_clock::now();
  server_->Shutdown();
  // Far from both: the second it takes and the timeout it would take.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  ASSERT_TRUE(watch.Read(&reply));
  EXPECT_EQ(reply, kNotServing);
}

}  // namespace
}  // namespace lossd
