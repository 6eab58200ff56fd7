// The subcommand against a server that answers what it is told to.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/bench_expected.h"
#include "client/cli/session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/run_lossctl.h"
#include "tests/client/fake_server.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Outcome Bench(const std::string& flags, const std::string& server) {
  return Lossctl(absl::StrCat("bench --server ", server, " ", flags));
}

TEST(BenchTest, BadFlagsAreNamedBeforeTheServerIsAsked) {
  for (const auto& [flags, message] :
       std::vector<std::pair<std::string, std::string>>{
           {"--loss mse,hubert", "--loss: unknown loss 'hubert', allowed: "},
           {"--rows 0", "--rows: got 0, allowed: 1 to 1e+09"},
           {"--columns 8,-1", "--columns: got -1, allowed: 1 to "},
           {"--rows 1.5", "--rows"},
           {"--elements 12",
            "--elements: got 12, allowed: multiples of "
            "--columns, 8"},
           {"--elements 8 --rows 1", "--rows excludes --elements"},
           {"--items 0", "--items: got 0, allowed: 1 to 1e+06"},
           {"--dtype int32", "--dtype: got 'int32', allowed: float32, "},
           {"--callers 0", "--callers: got 0, allowed: 1 to 1024"},
           {"--callers 2 --connections 3",
            "--connections: got 3, allowed: at most one for each of 2 "},
           {"--rate 0", "--rate: got 0, allowed: 0.001 to 1e+06"},
           {"--rate nan", "--rate: got nan"},
           {"--duration 0", "--duration: got 0, allowed: 0.001 to "},
           {"--duration inf", "--duration: got inf"},
           {"--calls 0", "--calls: got 0"},
           {"--warmup -1", "--warmup: got -1, allowed: 0 to "},
           {"--deadline 0", "--deadline: got 0"},
           {"--speed 3", "--speed: no flag of bench"}}) {
    const Outcome outcome = Bench(flags, "unix:/nonexistent/socket");
    EXPECT_EQ(outcome.exit_code, kUsage) << flags;
    EXPECT_THAT(outcome.err,
                AllOf(StartsWith("lossctl: "), HasSubstr(message)));
    EXPECT_EQ(outcome.out, "") << flags;
  }
}

TEST(BenchTest, AServerThatIsNotThereIsNamed) {
  const Outcome outcome = Bench("", "unix:/nonexistent/socket");
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err,
              StartsWith("lossctl: UNAVAILABLE: unix:/nonexistent/socket"));
  EXPECT_EQ(outcome.out, "");
}

TEST(BenchTest, SendsExactlyTheCalls) {
  test::FakeServer server;
  const Outcome outcome = Bench(
      "--calls 10 --callers 3 --connections 2 --rows 4 --columns 2 --items 3 "
      "--no_gradient --format json",
      server.target());
  EXPECT_EQ(outcome.exit_code, kOk) << outcome.err;
  const auto requests = server.requests();
  EXPECT_EQ(requests.size(), 10U);
  for (const v1::ComputeRequest& request : requests) {
    EXPECT_EQ(request.items_size(), 3);
    EXPECT_FALSE(request.items(0).outputs().gradient());
    EXPECT_EQ(request.numerics_version(), "fake-1");
  }
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["calls"], 10);
  EXPECT_EQ(json["items"], 30);
  EXPECT_EQ(json["elements"], 240);
  EXPECT_EQ(json["sent_bytes"], 10 * requests[0].ByteSizeLong());
  EXPECT_FALSE(json.contains("differing"));
}

TEST(BenchTest, TheWarmupIsNotCounted) {
  test::FakeServer server;
  const Outcome outcome =
      Bench("--calls 5 --warmup 0.001 --format json", server.target());
  EXPECT_EQ(outcome.exit_code, kOk) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["calls"], 5);
  EXPECT_EQ(json["warmup_calls"], server.requests().size() - 5);
}

TEST(BenchTest, CheckFindsOneWrongAnswer) {
  test::FakeServer server;
  server.info.set_numerics_version(LibraryNumericsVersion());
  const std::string flags =
      "--calls 4 --rows 2 --columns 2 --check --no_gradient";
  Outcome outcome = Bench(flags, server.target());
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("4 of 4 calls have answers whose bits"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\ndiffering +4"));
}

TEST(BenchTest, CheckWantsTheSameArithmetic) {
  test::FakeServer server;
  const Outcome outcome = Bench("--check --calls 1", server.target());
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err,
              HasSubstr("--check: the server's arithmetic is fake-1, that of"));
  EXPECT_TRUE(server.requests().empty());
}

TEST(BenchTest, FailedCallsAreCountedByCode) {
  test::FakeServer server;
  server.before_compute = [](auto*) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too much");
  };
  const Outcome outcome = Bench("--calls 3 --format json", server.target());
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("3 of 3 calls failed, the first with "
                                     "RESOURCE_EXHAUSTED: "));
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["errors"], nlohmann::json({{"RESOURCE_EXHAUSTED", 3}}));
  EXPECT_TRUE(json["latency_ms"].is_null());
}

TEST(BenchTest, ACallEndsAtTheDeadline) {
  test::FakeServer server;
  server.before_compute = [](grpc::ServerContext* context) {
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  const Outcome outcome =
      Bench("--calls 1 --deadline 0.01 --format json", server.target());
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["errors"],
            nlohmann::json({{"DEADLINE_EXCEEDED", 1}}));
}

}  // namespace
}  // namespace lossd::cli
