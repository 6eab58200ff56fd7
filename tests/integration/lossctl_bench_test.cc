// lossctl bench against a real server: what it says it sent is what arrived.

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/options_reflection.h"
#include "client/cli/session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/run_lossctl.h"
#include "tests/integration/metrics_page.h"
#include "tests/integration/running_server.h"

namespace lossd::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

constexpr char kDone[] =
    "lossd_rpc_completed_total{code=\"OK\",method=\"Compute\"}";

struct Outcome {
  int exit_code;
  Json json;
  std::string err;
};

Outcome Bench(const std::string& server, const std::string& flags) {
  const cli::Outcome run = cli::Lossctl(
      absl::StrCat("bench --format json --server ", server, " ", flags));
  return {run.exit_code, Json::parse(run.out, nullptr, false), run.err};
}

class BenchTest : public testing::Test {
 protected:
  MetricsPage Settled() const { return SettledPage(*server_); }
  void AwaitCalls(int calls) const {
    while (MetricsPage(server_->Get("/metrics"))[kDone] < calls)
      std::this_thread::yield();
  }

  std::unique_ptr<RunningServer> server_ = std::make_unique<RunningServer>();
};

TEST_F(BenchTest, FiguresReconcileWithTheServersMetrics) {
  const Outcome outcome =
      Bench(server_->tcp_target(),
            "--calls 100 --callers 4 --connections 3 --loss mse,scce,huber "
            "--rows 10,20 --columns 5 --items 2 --row_losses --check");
  ASSERT_EQ(outcome.exit_code, cli::kOk) << outcome.err;
  const MetricsPage page = Settled();
  const Json& json = outcome.json;
  EXPECT_EQ(json["calls"], 100);
  EXPECT_EQ(json["failed"], 0);
  EXPECT_EQ(json["differing"], 0);
  EXPECT_EQ(page[kDone], 100);
  EXPECT_EQ(json["sent_bytes"],
            page["lossd_rpc_received_bytes_total{method=\"Compute\"}"]);
  EXPECT_EQ(json["received_bytes"],
            page["lossd_rpc_sent_bytes_total{method=\"Compute\"}"]);
  EXPECT_EQ(json["items"], 200);
  EXPECT_EQ(page.Sum("lossd_items_total"), 200);
  EXPECT_EQ(json["elements"], page.Sum("lossd_item_elements_total"));
  // Six kinds take turns: four of them come 17 times, the last two 16 times.
  const auto items = [&page](const std::string& loss) {
    return page["lossd_items_total{code=\"OK\",loss=\"" + loss + "\"}"];
  };
  EXPECT_EQ(items("mean_squared_error"), 2 * (17 + 17));
  EXPECT_EQ(items("sparse_categorical_cross_entropy"), 2 * (17 + 17));
  EXPECT_EQ(items("huber"), 2 * (16 + 16));
  EXPECT_EQ(page["lossd_item_elements_total{loss=\"mean_squared_error\"}"],
            2 * 17 * (10 * 5 + 20 * 5));
}

TEST_F(BenchTest, EveryLossHasTheBitsOfTheLibrary) {
  std::vector<std::string> names;
  for (const v1::Loss& loss : cli::AllLosses()) {
    names.push_back(cli::InfoOf(loss).name());
  }
  for (const char* dtype : {"float32", "bfloat16"}) {
    const Outcome outcome =
        Bench(server_->unix_target(),
              absl::StrCat("--check --rows 9 --columns 3 --row_losses --calls ",
                           names.size(), " --loss ", absl::StrJoin(names, ","),
                           " --dtype ", dtype));
    EXPECT_EQ(outcome.exit_code, cli::kOk) << outcome.err;
    EXPECT_EQ(outcome.json["items"], names.size());
    EXPECT_EQ(outcome.json["differing"], 0);
  }
}

TEST_F(BenchTest, ARateSendsExactlyTheCalls) {
  const Outcome outcome = Bench(server_->unix_target(),
                                "--rate 10000 --calls 300 --callers 5 "
                                "--elements 16 --no-gradient");
  EXPECT_EQ(outcome.exit_code, cli::kOk) << outcome.err;
  EXPECT_EQ(outcome.json["calls"], 300);
  EXPECT_EQ(outcome.json["missed"], 0);
  EXPECT_EQ(Settled()[kDone], 300);
}

TEST_F(BenchTest, AnInterruptEndsItWithTheFiguresSoFar) {
  Outcome outcome = {};
  std::thread bench([&] {
    outcome = Bench(server_->unix_target(), "--duration 100000 --elements 8");
  });
  AwaitCalls(10);
  kill(getpid(), SIGINT);
  bench.join();
  EXPECT_EQ(outcome.exit_code, cli::kOk) << outcome.err;
  EXPECT_GE(outcome.json["calls"], 10);
  EXPECT_EQ(outcome.json["calls"], Settled()[kDone]);
}

TEST_F(BenchTest, AServerThatGoesAwayEndsIt) {
  Outcome outcome = {};
  std::thread bench([&] {
    outcome = Bench(server_->unix_target(),
                    "--calls 1000000000 --elements 8 --timeout 0.5");
  });
  AwaitCalls(10);
  server_.reset();
  bench.join();
  EXPECT_EQ(outcome.exit_code, cli::kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("gave up: no answer any more"));
  EXPECT_GE(outcome.json["items"], 10);
  EXPECT_GE(outcome.json["errors"]["UNAVAILABLE"], 1);
  EXPECT_EQ(
      outcome.json["failed"].get<int>() + outcome.json["items"].get<int>(),
      outcome.json["calls"]);
}

}  // namespace
}  // namespace lossd::test
