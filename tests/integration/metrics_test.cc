// What the metrics page counts is what was sent.

#include <algorithm>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cpu_budget.h"
#include "tests/integration/messages.h"
#include "tests/integration/metrics_page.h"
#include "tests/integration/running_server.h"
#include "tests/integration/stream_calls.h"

namespace lossd::test {
namespace {

using testing::HasSubstr;

std::string Rpcs(const std::string& method, const std::string& code) {
  return "lossd_rpc_completed_total{code=\"" + code + "\",method=\"" + method +
         "\"}";
}

std::string Items(const std::string& loss, const std::string& code) {
  return "lossd_items_total{code=\"" + code + "\",loss=\"" + loss + "\"}";
}

std::string Of(const std::string& name, const std::string& key,
               const std::string& value) {
  return name + "{" + key + "=\"" + value + "\"}";
}

v1::LossItem Item(v1::Loss loss, int64_t rows) {
  v1::LossItem item;
  *item.mutable_loss() = std::move(loss);
  *item.mutable_predictions() =
      TensorOf(v1::DTYPE_FLOAT32,
               std::vector<float>(static_cast<size_t>(2 * rows)), {rows, 2});
  *item.mutable_targets() = item.predictions();
  item.mutable_outputs()->set_gradient(true);
  return item;
}

v1::Loss Mse() {
  v1::Loss loss;
  loss.mutable_mean_squared_error();
  return loss;
}

v1::Loss Huber(double delta) {
  v1::Loss loss;
  loss.mutable_huber()->set_delta(delta);
  return loss;
}

class MetricsTest : public testing::Test {
 protected:
  MetricsPage Settled() const { return SettledPage(server_); }

  const RunningServer server_{ServerOptions{
      .threads = 2, .max_message_bytes = 1 << 20, .max_items = 10}};
};

TEST_F(MetricsTest, CountersReconcileWithWhatWasSent) {
  double sent = 0;
  double received = 0;
  const auto compute = [&](const v1::ComputeRequest& request) {
    sent += static_cast<double>(request.ByteSizeLong());
    const v1::ComputeResponse response = server_.Compute(request);
    received += static_cast<double>(response.ByteSizeLong());
  };
  v1::ComputeRequest batch;
  for (const int64_t rows : {3, 5}) *batch.add_items() = Item(Mse(), rows);
  *batch.add_items() = Item(Huber(1), 7);
  *batch.add_items() = Item(Huber(-1), 100);
  *batch.add_items() = Item({}, 100);
  batch.add_items()->mutable_loss()->mutable_named()->set_name("l2");
  *batch.add_items() = Item(Mse(), 9);
  batch.mutable_items(6)->set_semantics(static_cast<v1::Semantics>(33));
  batch.add_items()
      ->mutable_loss()
      ->mutable_binary_cross_entropy()
      ->set_prediction_kind(static_cast<v1::PredictionKind>(9));
  compute(batch);
  compute(batch);
  v1::ComputeRequest alias;
  *alias.add_items() = Item({}, 11);
  alias.mutable_items(0)->mutable_loss()->mutable_named()->set_name("mse");
  compute(alias);
  compute({});

  const char* const method = "/lossd.v1.LossService/Compute";
  server_.Send(method, {"nonsense"});
  v1::ComputeRequest pinned = alias;
  pinned.set_numerics_version("else");
  server_.Send(method, {pinned.SerializeAsString()});
  v1::ComputeRequest many;
  for (int i = 0; i < 11; ++i) many.add_items();
  server_.Send(method, {many.SerializeAsString()});
  sent += 8 + static_cast<double>(pinned.ByteSizeLong() + many.ByteSizeLong());

  const MetricsPage page = Settled();
  EXPECT_EQ(page[Of("lossd_rpc_started_total", "method", "Compute")], 7);
  EXPECT_EQ(page[Rpcs("Compute", "OK")], 4);
  EXPECT_EQ(page[Rpcs("Compute", "INVALID_ARGUMENT")], 1);
  EXPECT_EQ(page[Rpcs("Compute", "FAILED_PRECONDITION")], 1);
  EXPECT_EQ(page[Rpcs("Compute", "RESOURCE_EXHAUSTED")], 1);
  EXPECT_EQ(page.Sum("lossd_rpc_completed_total"), 7);
  EXPECT_EQ(page[Of("lossd_rpc_duration_seconds_count", "method", "Compute")],
            7);
  EXPECT_EQ(page[Of("lossd_rpc_received_bytes_total", "method", "Compute")],
            sent);
  EXPECT_EQ(page[Of("lossd_rpc_sent_bytes_total", "method", "Compute")],
            received);
  EXPECT_EQ(page[Of("lossd_rpc_request_bytes_count", "method", "Compute")], 7);
  EXPECT_EQ(page[Of("lossd_rpc_request_bytes_sum", "method", "Compute")], sent);
  EXPECT_EQ(page[Of("lossd_rpc_response_bytes_count", "method", "Compute")], 4);
  EXPECT_EQ(page[Of("lossd_rpc_response_bytes_sum", "method", "Compute")],
            received);
  EXPECT_EQ(page[Of("lossd_admission_rejected_total", "reason", "too_large")],
            1);
  EXPECT_EQ(page.Sum("lossd_admission_rejected_total"), 1);
  EXPECT_EQ(page.Sum("lossd_cancelled_total"), 0);

  EXPECT_EQ(page[Items("mean_squared_error", "OK")], 5);
  EXPECT_EQ(page[Items("mean_squared_error", "UNIMPLEMENTED")], 2);
  EXPECT_EQ(page[Items("binary_cross_entropy", "INVALID_ARGUMENT")], 2);
  EXPECT_EQ(page[Items("huber", "OK")], 2);
  EXPECT_EQ(page[Items("huber", "INVALID_ARGUMENT")], 2);
  EXPECT_EQ(page[Items("unknown", "INVALID_ARGUMENT")], 4);
  EXPECT_EQ(page.Sum("lossd_items_total"), 17);
  const std::string elements = "lossd_item_elements_total";
  EXPECT_EQ(page[Of(elements, "loss", "mean_squared_error")],
            2 * (2 * 3 + 2 * 5) + 2 * 11);
  EXPECT_EQ(page[Of(elements, "loss", "huber")], 2 * 2 * 7);
  EXPECT_EQ(page.Sum(elements), 2 * (2 * 3 + 2 * 5) + 2 * 11 + 2 * 2 * 7);
  EXPECT_EQ(page["lossd_queue_depth_requests"], 0);
  EXPECT_GT(page["lossd_compute_busy_seconds_total"], 0);
}

// Small ones on gRPC's thread, the last by the scheduler.
TEST_F(MetricsTest, EveryCallHasItsStages) {
  for (const int64_t rows : {1, 10, 100, 20'000}) {
    server_.Compute(Item(Mse(), rows));
  }
  MetricsPage page = Settled();
  const auto calls = [&page](const std::string& stage) {
    return page[Of("lossd_stage_duration_seconds_count", "stage", stage)];
  };
  for (const char* stage : {"admission", "decode", "compute", "encode"}) {
    EXPECT_EQ(calls(stage), 4) << stage;
  }
  EXPECT_EQ(calls("queue"), 1);
  // A message and an item, at least, are a unit each.
  EXPECT_GE(page["lossd_work_units_total"], 4 * 2);
  // One that cannot be parsed is not computed.
  server_.Send("/lossd.v1.LossService/Compute", {"nonsense"});
  page = Settled();
  EXPECT_EQ(calls("decode"), 5);
  EXPECT_EQ(calls("compute"), 4);
}

TEST_F(MetricsTest, ABufferIsAMissOnce) {
  const double before = Settled()["lossd_buffer_pool_misses_total"];
  server_.Compute(Item(Mse(), 2000));
  EXPECT_EQ(Settled()["lossd_buffer_pool_misses_total"], before + 1);
  // gRPC gives it back when it has sent it.
  while (Settled()[Of("lossd_buffer_pool_bytes", "state", "used")] > 0)
    continue;
  server_.Compute(Item(Mse(), 2000));
  EXPECT_EQ(Settled()["lossd_buffer_pool_misses_total"], before + 1);
}

TEST_F(MetricsTest, LossesThatAreNotFinite) {
  v1::LossItem infinite = Item(Mse(), 1);
  const std::vector<float> predictions = {
      std::numeric_limits<float>::infinity(), 1};
  *infinite.mutable_predictions() =
      TensorOf(v1::DTYPE_FLOAT32, predictions, {1, 2});
  // It is refused, or computed with.
  v1::ComputeRequest request;
  *request.add_items() = infinite;
  infinite.set_semantics(v1::SEMANTICS_PYTORCH);
  *request.add_items() = infinite;
  // Without a reduction the loss is not a number, but its rows are.
  *request.add_items() = Item(Mse(), 3);
  request.mutable_items(2)->set_reduction(v1::REDUCTION_NONE);
  infinite.set_reduction(v1::REDUCTION_NONE);
  *request.add_items() = infinite;
  server_.Compute(request);
  const MetricsPage page = Settled();
  EXPECT_EQ(page[Items("mean_squared_error", "OK")], 3);
  EXPECT_EQ(page[Items("mean_squared_error", "INVALID_ARGUMENT")], 1);
  EXPECT_EQ(
      page[Of("lossd_nonfinite_outputs_total", "loss", "mean_squared_error")],
      2);
  EXPECT_EQ(page.Sum("lossd_nonfinite_outputs_total"), 2);
}

// What stands before the values of a page.
std::set<std::string> SeriesOf(const std::string& text) {
  std::set<std::string> series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line[0] != '#') series.insert(line.substr(0, line.rfind(' ')));
  }
  return series;
}

TEST_F(MetricsTest, NoSeriesForWhatCallersMakeUp) {
  const auto send = [this](const std::string& text) {
    v1::ComputeRequest request;
    request.add_items()->mutable_loss()->mutable_named()->set_name(text);
    *request.add_items() = Item(Mse(), 1);
    (*request.mutable_items(1)->mutable_extra_inputs())[text] =
        request.items(1).targets();
    server_.Send("/lossd.v1.LossService/Compute",
                 {request.SerializeAsString()});
    server_.Send("/lossd.v1.LossService/" + text, {});
  };
  send("first");
  const std::set<std::string> before = SeriesOf(server_.Get("/metrics"));
  for (int i = 0; i < 50; ++i) send("loss" + std::to_string(i));
  send("a\"}1");
  send(std::string(5000, 'x'));
  Settled();
  EXPECT_EQ(SeriesOf(server_.Get("/metrics")), before);
}

TEST_F(MetricsTest, MessagesOfStreams) {
  v1::LossItem item = Item(Mse(), 2000);
  item.set_semantics(v1::SEMANTICS_KERAS);
  std::vector<float> targets(4000);
  targets[17] = std::numeric_limits<float>::quiet_NaN();
  *item.mutable_targets() = TensorOf(v1::DTYPE_FLOAT32, targets, {2000, 2});
  std::vector<std::string> messages;
  double sent = 0;
  for (const v1::ComputeStreamRequest& message :
       Messages(TakeApart(item), Order::kTogether, 1000)) {
    messages.push_back(message.SerializeAsString());
    sent += static_cast<double>(messages.back().size());
  }
  const auto reply =
      server_.Send("/lossd.v1.LossService/ComputeStream", messages);
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  const MetricsPage page = Settled();
  const auto of = [&page](const std::string& name) {
    return page[Of(name, "method", "ComputeStream")];
  };
  const auto count = [&page](const std::string& direction) {
    return page[Of("lossd_stream_messages_total", "direction", direction)];
  };
  EXPECT_EQ(count("received"), messages.size());
  EXPECT_EQ(count("sent"), reply.messages.size());
  EXPECT_EQ(of("lossd_rpc_request_bytes_count"), 1);
  EXPECT_EQ(of("lossd_rpc_request_bytes_sum"), sent);
  EXPECT_EQ(of("lossd_rpc_response_bytes_sum"),
            of("lossd_rpc_sent_bytes_total"));
  EXPECT_EQ(page["lossd_streams_open"], 0);
  EXPECT_EQ(page.Sum("lossd_nonfinite_outputs_total"), 1);
  for (const char* stage : {"admission", "decode", "compute", "encode"}) {
    EXPECT_EQ(page[Of("lossd_stage_duration_seconds_count", "stage", stage)], 1)
        << stage;
  }
}

// gRPC tells the client the code, and the server only that the call is over.
TEST_F(MetricsTest, WhatGrpcRefusesIsCountedAsCancelled) {
  const char* const method = "/lossd.v1.LossService/Compute";
  const std::string large(2 << 20, '\0');
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(server_.Send(method, {large}).status.error_code(),
              grpc::RESOURCE_EXHAUSTED);
    EXPECT_EQ(server_.Send(method, {large.substr(0, 1000)}, GRPC_COMPRESS_GZIP)
                  .status.error_code(),
              grpc::UNIMPLEMENTED);
  }
  // What gRPC refuses may be counted after it is answered.
  MetricsPage page = Settled();
  while (page.Sum("lossd_rpc_completed_total") < 40) page = Settled();
  EXPECT_EQ(page[Rpcs("Compute", "CANCELLED")], 40);
  EXPECT_EQ(page.Sum("lossd_rpc_completed_total"), 40);
}

TEST_F(MetricsTest, EveryMethodIsCounted) {
  const Client client = server_.Connect();  // Asks for the server's info.
  EXPECT_TRUE(client.ListLosses().ok());
  EXPECT_TRUE(client.ListLosses().ok());
  server_.Send("/lossd.v1.LossService/ComputeStream", {});
  server_.Send("/lossd.v1.LossService/Backward", {});
  server_.Send("/nobody/knows", {});
  // What the server does not know may be counted after it is answered.
  MetricsPage page = Settled();
  while (page.Sum("lossd_rpc_completed_total") < 6) page = Settled();
  EXPECT_EQ(page[Rpcs("GetServerInfo", "OK")], 1);
  EXPECT_EQ(page[Rpcs("ListLosses", "OK")], 2);
  EXPECT_EQ(page[Rpcs("ComputeStream", "INVALID_ARGUMENT")], 1);
  EXPECT_EQ(page[Rpcs("other", "UNIMPLEMENTED")], 2);
  EXPECT_EQ(page.Sum("lossd_rpc_completed_total"), 6);
  EXPECT_GT(page[Of("lossd_rpc_sent_bytes_total", "method", "ListLosses")],
            1000);
}

TEST_F(MetricsTest, PageTellsOfTheServerAndItsProcess) {
  const std::string text = server_.Get("/metrics");
  EXPECT_THAT(text, HasSubstr("lossd_build_info{"));
  const MetricsPage page(text);
  EXPECT_EQ(page["lossd_compute_threads"], std::min(2, CpuBudget()));
  for (const char* name :
       {"lossd_start_time_seconds", "process_cpu_seconds_total",
        "process_resident_memory_bytes", "process_virtual_memory_bytes",
        "process_open_fds", "process_max_fds", "process_start_time_seconds"}) {
    EXPECT_GT(page[name], 0) << name;
  }
}

TEST_F(MetricsTest, HealthzSaysServing) {
  EXPECT_EQ(server_.Get("/healthz"), "serving\n");
  EXPECT_THAT(server_.Get("/admin", 404), HasSubstr("/metrics"));
}

}  // namespace
}  // namespace lossd::test
