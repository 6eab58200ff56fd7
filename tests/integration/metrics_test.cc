// What the metrics page counts is what was sent.

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cpu_budget.h"
#include "tests/integration/messages.h"
#include "tests/integration/metrics_page.h"
#include "tests/integration/running_server.h"

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
