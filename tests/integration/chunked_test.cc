// Client::ComputeChunked through a running server.

#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/half.h"
#include "tests/support/loss_cases.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Of messages: the client's steps have 60 KiB then, and a header 192 KiB of
// tensors.
constexpr int64_t kSmallMessage = int64_t{256} << 10;

// More rows than a header has room for masks.
constexpr int64_t kManyRows = 200003;

// Elements of two float32 tensors in a step of 2 MiB.
constexpr int64_t kStep = int64_t{1} << 18;

class ChunkedTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new RunningServer; }
  static void TearDownTestSuite() { delete server_; }

  static Client Connect(const ClientOptions& options = {}) {
    auto client = Client::Connect(server_->unix_target(), options);
    EXPECT_THAT(client, IsOk());
    return *client;
  }

  static absl::StatusOr<Answer> SendChunked(const Client& client,
                                            const Problem& problem,
                                            const Form& form) {
    return Send(client, problem, form, &Client::ComputeChunked);
  }

  // Reads the page of the metrics until it has this sample.
  static void Await(const std::string& sample) {
    while (server_->Get("/metrics").find(sample + "\n") == std::string::npos) {
      std::this_thread::yield();
    }
  }

  // Nothing of a stream is left.
  static void AwaitNoStream() {
    Await("lossd_rpc_in_flight{method=\"ComputeStream\"} 0");
    Await("lossd_memory_reserved_bytes 0");
  }

  static inline const RunningServer* server_;
};

bool CouplesAllRows(const Problem& problem) {
  return problem.traits().layout == RowLayout::kWhole;
}

TEST_F(ChunkedTest, EveryLossHasTheBitsOfTheLibrary) {
  const Client client = Connect();
  for (const LossCase& loss_case : LossCases()) {
    SCOPED_TRACE(loss_case.name);
    for (const Problem& problem :
         Variants(Sample(loss_case, {613, 9}, Dtype::kFloat32))) {
      if (CouplesAllRows(problem)) continue;
      const Form form{.dtype = Dtype::kFloat32, .diagnostics = true};
      EXPECT_TRUE(SameAnswers(SendChunked(client, problem, form),
                              Solve(problem, form)));
    }
  }
}

// Weights and labels go with the header, everything else in about five steps.
// Probabilities may be rounded to 1 and be refused, here as there.
TEST_F(ChunkedTest, EveryLossInSteps) {
  const Client client = Connect({.max_message_bytes = kSmallMessage});
  for (const LossCase& loss_case : LossCases()) {
    SCOPED_TRACE(loss_case.name);
    Problem problem = Sample(loss_case, {601, 61}, Dtype::kFloat32);
    if (CouplesAllRows(problem)) continue;
    // Those of elements would not fit, and beside class weights neither would
    // targets.
    if (problem.rows() == 601 && problem.class_weights.empty()) {
      AddWeights(problem, 4);
      AddMask(problem, 5);
    }
    for (const Dtype dtype :
         {Dtype::kFloat32, Dtype::kFloat64, Dtype::kBfloat16}) {
      const Form form{.dtype = dtype,
                      .target_dtype = Dtype::kFloat32,
                      .weight_dtype = Dtype::kFloat32,
                      .gradient_dtype = dtype};
      EXPECT_TRUE(SameOutcomes(SendChunked(client, problem, form),
                               Solve(problem, form)));
    }
  }
}

Problem CaseOf(const std::string& name, const std::vector<int64_t>& shape,
               Dtype dtype = Dtype::kFloat32) {
  for (const LossCase& loss_case : LossCases()) {
    if (loss_case.name == name) return Sample(loss_case, shape, dtype);
  }
  ADD_FAILURE() << "no case " << name;
  return {};
}

TEST_F(ChunkedTest, SizesAboutThoseOfAStep) {
  const Client client = Connect();
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{0},
                                         {},
                                         {1},
                                         {kStep - 1},
                                         {kStep},
                                         {kStep + 1},
                                         {2 * kStep - 1},
                                         {2 * kStep},
                                         {2 * kStep + 1},
                                         {3, 100003},
                                         {1, kStep + 7},
                                         {0, 5},
                                         {5, 0}}) {
    SCOPED_TRACE(testing::PrintToString(shape));
    const Problem problem = CaseOf("mse", shape);
    const Form form{.dtype = Dtype::kFloat32};
    EXPECT_TRUE(
        SameOutcomes(SendChunked(client, problem, form), Solve(problem, form)));
  }
}

double Rounded(Dtype dtype, double number) {
  switch (dtype) {
    case Dtype::kFloat64:
      return number;
    case Dtype::kFloat32:
      return static_cast<double>(static_cast<float>(number));
    default:
      return RoundToHalf(dtype, number);
  }
}

// The mask decides about the divisor, and comes with what it masks.
TEST_F(ChunkedTest, GradientsAreScaledAtTheEnd) {
  const Client client = Connect({.max_message_bytes = kSmallMessage});
  for (const char* name : {"mse", "dpo"}) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64, Dtype::kFloat16,
                              Dtype::kBfloat16}) {
      SCOPED_TRACE(testing::Message() << name << static_cast<int>(dtype));
      Problem problem = CaseOf(name, {kManyRows});
      AddMask(problem, 7);
      Problem sum = problem;
      sum.spec.reduction = Reduction::kSum;
      const Form form{.dtype = Dtype::kFloat32,
                      .gradient_dtype = dtype,
                      .diagnostics = true};
      absl::StatusOr<Answer> expected = Solve(problem, form);
      const absl::StatusOr<Answer> unscaled = Solve(sum, form);
      ASSERT_THAT(expected, IsOk());
      ASSERT_THAT(unscaled, IsOk());
      const double scale = 1 / expected->result.normalizer;
      const auto scaled = [&](std::vector<double> numbers) {
        for (double& number : numbers) number = Rounded(dtype, number * scale);
        return numbers;
      };
      // Else this would say nothing.
      if (dtype == Dtype::kFloat32) {
        EXPECT_NE(scaled(unscaled->gradient), expected->gradient);
      }
      expected->gradient = scaled(unscaled->gradient);
      for (auto& [input, gradient] : expected->extra_gradients) {
        gradient = scaled(unscaled->extra_gradients.at(input));
      }
      expected->result.diagnostics = unscaled->result.diagnostics;
      for (Diagnostic& figure : expected->result.diagnostics) {
        if (figure.name.starts_with("gradient_")) figure.value *= scale;
      }
      EXPECT_TRUE(SameAnswers(SendChunked(client, problem, form), expected));
    }
  }
}

// With sums and explicit divisors masks may come as late as they like.
TEST_F(ChunkedTest, DivisorsThatAreKnownNeedNoScale) {
  const Client client = Connect({.max_message_bytes = kSmallMessage});
  Problem problem = CaseOf("mse", {kManyRows});
  AddMask(problem, 7);
  AddWeights(problem, 8);
  problem.spec.normalizer = 1234;
  const Form form{.dtype = Dtype::kFloat32};
  EXPECT_TRUE(
      SameAnswers(SendChunked(client, problem, form), Solve(problem, form)));
}

TEST_F(ChunkedTest, ARefusedElementIsNamed) {
  constexpr size_t kBad = 700001;
  Problem problem = CaseOf("mse", {1000003});
  problem.predictions[kBad] = std::numeric_limits<double>::infinity();
  const absl::Status status =
      SendChunked(Connect(), problem, {.dtype = Dtype::kFloat32}).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("predictions.data[700001]: got inf")));
  EXPECT_THAT(std::string(status.message()),
              StartsWith(server_->unix_target() + ": "));
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 1);
  EXPECT_EQ(violations[0].field(), "predictions.data");
  EXPECT_EQ(violations[0].index(), kBad);
  EXPECT_EQ(violations[0].got(), "inf");
  EXPECT_EQ(violations[0].allowed(), "finite numbers");
  AwaitNoStream();
}

TEST_F(ChunkedTest, CoupledRowsAreRefused) {
  const absl::Status status =
      SendChunked(Connect(), CaseOf("dice_logits_soft_batch", {20, 3}), {})
          .status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr(".scope: got BATCH")));
  EXPECT_EQ(ViolationsOf(status).size(), 1);
}

// 64 MiB each way, more than which are on their way at a time.
TEST_F(ChunkedTest, ADeadlineLeavesNothingBehind) {
  const Client client = Connect();
  std::vector<float> predictions(size_t{8} << 20);
  std::vector<float> gradient(predictions.size());
  LossCall call;
  call.loss.mutable_mean_squared_error();
  call.predictions = ViewOf(predictions);
  call.targets = ViewOf(predictions);
  call.gradient = MutableViewOf(gradient);
  for (const absl::Duration deadline :
       {absl::ZeroDuration(), absl::Milliseconds(1), absl::Milliseconds(5)}) {
    const absl::Status status =
        client.ComputeChunked(call, {.deadline = deadline}).status();
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded,
                                 StartsWith(server_->unix_target() + ": ")));
    AwaitNoStream();
  }
  EXPECT_THAT(client.ComputeChunked(call), IsOk());
  AwaitNoStream();
}

}  // namespace
}  // namespace lossd::test
