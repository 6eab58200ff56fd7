// Batches, large tensors and many callers at once: nobody changes the bits of
// his neighbours.

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "lib/core/numerics.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/loss_cases.h"

namespace lossd::test {
namespace {

// A small problem of each loss case in turn, none like another.
Problem Small(size_t i) {
  const LossCase& loss_case = LossCases()[i % LossCases().size()];
  const auto rows = static_cast<int64_t>(1 + i % 13);
  const auto columns = static_cast<int64_t>(2 + i % 7);
  Problem problem = Sample(loss_case, {rows, columns}, Dtype::kFloat64, i);
  problem.spec.reduction = static_cast<Reduction>(i % 5);
  if (i % 2 == 0) AddWeights(problem, i);
  if (i % 3 == 0) AddMask(problem, i);
  return problem;
}

class BatchTest : public testing::Test {
 protected:
  const RunningServer server_;
};

TEST_F(BatchTest, ThousandItemsAreAThousandCallsOfTheLibrary) {
  v1::ComputeRequest request;
  for (size_t i = 0; i < 1000; ++i) *request.add_items() = ItemOf(Small(i));
  const v1::ComputeResponse response = server_.Compute(request);
  EXPECT_EQ(response.numerics_version(), std::string(NumericsVersion()));
  int refused = 0;
  for (size_t i = 0; i < 1000; ++i) {
    const auto answer = AnswerOf(response.results(static_cast<int>(i)));
    const auto expected = Solve(Small(i));
    if (expected.ok()) {
      EXPECT_TRUE(SameAnswers(answer, expected)) << i;
    } else {
      // All rows are of a class whose weight is 0, and a mean is wanted.
      EXPECT_EQ(answer.status().code(), expected.status().code()) << i;
      ++refused;
    }
  }
  EXPECT_LT(refused, 50);
}

TEST_F(BatchTest, BadItemsLeaveTheirNeighboursAlone) {
  v1::ComputeRequest good;
  v1::ComputeRequest mixed;
  for (size_t i = 0; i < 200; ++i) {
    *mixed.add_items() = *good.add_items() = ItemOf(Small(i));
    v1::LossItem* bad = mixed.add_items();
    *bad = good.items(static_cast<int>(i));
    switch (i % 4) {
      case 0:
        bad->clear_loss();
        break;
      case 1:
        bad->mutable_predictions()->mutable_data()->pop_back();
        break;
      case 2:
        bad->mutable_predictions()->clear_storage();
        break;
      default:
        bad->set_normalizer(-1);
    }
  }
  const v1::ComputeResponse alone = server_.Compute(good);
  const v1::ComputeResponse response = server_.Compute(mixed);
  int good_count = 0;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(BytesOf(response.results(2 * i)), BytesOf(alone.results(i)));
    good_count += alone.results(i).status().code() == 0 ? 1 : 0;
    EXPECT_EQ(response.results(2 * i + 1).status().code(),
              grpc::INVALID_ARGUMENT);
  }
  EXPECT_GT(good_count, 190);
}

TEST_F(BatchTest, NoItemsNoResults) {
  const v1::ComputeResponse response = server_.Compute(v1::ComputeRequest());
  EXPECT_EQ(response.results_size(), 0);
  EXPECT_EQ(response.numerics_version(), std::string(NumericsVersion()));
}

TEST_F(BatchTest, TensorsOfTheDefaultsServeTenDeltas) {
  Problem problem = Small(0);
  problem.spec = {.params = HuberParams{}};
  AddWeights(problem, 1);
  v1::ComputeRequest request;
  *request.mutable_defaults() = ItemOf(problem);
  for (int i = 1; i <= 10; ++i) {
    request.add_items()->mutable_loss()->mutable_huber()->set_delta(0.25 * i);
  }
  const v1::ComputeResponse response = server_.Compute(request);
  for (int i = 1; i <= 10; ++i) {
    problem.spec.params = HuberParams{.delta = 0.25 * i};
    EXPECT_TRUE(SameAnswers(AnswerOf(response.results(i - 1)), Solve(problem)));
  }
}

TEST_F(BatchTest, ItemsMayLeaveAnythingToTheDefaults) {
  Problem problem = Sample(LossCases()[0], {20, 3}, Dtype::kFloat64);
  problem.spec.params =
      CategoricalCrossEntropyParams{.prediction_kind = PredictionKind::kLogits};
  for (double& target : problem.targets) target = 1.0 / 3;
  problem.class_weights = {1, 2, 3};
  problem.upstream_gradient = {2};
  problem.spec.reduction = Reduction::kMean;
  problem.spec.normalizer = 5;
  problem.spec.semantics = Semantics::kKeras;
  AddWeights(problem, 1);
  AddMask(problem, 2);
  const v1::LossItem whole = ItemOf(problem);
  const std::string expected = BytesOf(server_.Compute(whole));
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  whole.GetReflection()->ListFields(whole, &fields);
  EXPECT_EQ(fields.size(),
            static_cast<size_t>(v1::LossItem::descriptor()->field_count()));
  for (const auto* field : fields) {
    v1::ComputeRequest request;
    *request.mutable_defaults() = whole;
    *request.add_items() = whole;
    whole.GetReflection()->ClearField(request.mutable_items(0), field);
    EXPECT_EQ(BytesOf(server_.Compute(request).results(0)), expected)
        << field->name();
    // What the item sets comes before the defaults.
    *request.mutable_items(0) = whole;
    *request.mutable_defaults() = ItemOf(Small(3));
    request.mutable_defaults()->set_normalizer(7);
    EXPECT_EQ(BytesOf(server_.Compute(request).results(0)), expected);
  }
}

TEST_F(BatchTest, ExtraInputsAreMergedKeyByKey) {
  Problem problem = Small(0);
  problem.spec = {.params = BinaryCrossEntropyParams{
                      .prediction_kind = PredictionKind::kLogits}};
  for (double& target : problem.targets) target = 1;
  problem.pos_weight.assign(problem.columns(), 2);
  v1::ComputeRequest request;
  *request.mutable_defaults() = ItemOf(problem);
  problem.pos_weight.assign(problem.columns(), 3);
  auto& own = *request.add_items()->mutable_extra_inputs();
  own["pos_weight"] = ItemOf(problem).extra_inputs().at("pos_weight");
  EXPECT_TRUE(SameAnswers(AnswerOf(server_.Compute(request).results(0)),
                          Solve(problem)));
  // An unknown key of the item's does not replace the defaults' key.
  own["nonsense"] = own["pos_weight"];
  own.erase("pos_weight");
  EXPECT_EQ(server_.Compute(request).results(0).status().violations(0).field(),
            "extra_inputs.nonsense");
}

TEST_F(BatchTest, AnotherArithmeticIsRefusedBeforeAnythingIsComputed) {
  v1::ComputeRequest request;
  *request.add_items() = ItemOf(Small(0));
  request.set_numerics_version(std::string(NumericsVersion()));
  EXPECT_EQ(server_.Compute(request).results(0).status().code(), 0);
  request.set_numerics_version("0.9-else");
  grpc::ClientContext context;
  v1::ComputeResponse response;
  const grpc::Status status =
      server_.stub().Compute(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_NE(status.error_message().find("0.9-else"), std::string::npos)
      << status.error_message();
  EXPECT_EQ(response.results_size(), 0);
}

// Numbers that need no random generator: there are many.
std::vector<float> Sawtooth(size_t count, size_t step) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    numbers[i] = static_cast<float>(i * step % 1009) / 257 - 1.5F;
  }
  return numbers;
}

TEST_F(BatchTest, LargeTensors) {
  const Client client = server_.Connect();
  // Requests of 16 and 64 MiB, the latter beyond any flow-control window.
  for (const int64_t rows : {int64_t{1} << 18, int64_t{1} << 20}) {
    const std::vector<int64_t> shape = {rows, 8};
    const auto count = static_cast<size_t>(rows * 8);
    const std::vector<float> predictions = Sawtooth(count, 31);
    const std::vector<float> targets = Sawtooth(count, 17);
    std::vector<float> gradient(count);
    std::vector<float> expected_gradient(count);
    LossCall call;
    call.loss.mutable_mean_squared_error();
    call.predictions = ViewOf(predictions, shape);
    call.targets = ViewOf(targets, shape);
    call.gradient = MutableViewOf(gradient);
    const auto result = client.Compute(call);
    ASSERT_TRUE(result.ok()) << result.status();
    const auto expected = Compute(
        {.params = MeanSquaredErrorParams{}},
        {.predictions = {Dtype::kFloat32, shape,
                         std::as_bytes(std::span(predictions))},
         .targets = {Dtype::kFloat32, shape,
                     std::as_bytes(std::span(targets))}},
        {.gradient = std::as_writable_bytes(std::span(expected_gradient))});
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_EQ(result->loss, expected->loss);
    EXPECT_EQ(result->row_count, rows);
    EXPECT_TRUE(gradient == expected_gradient);
  }
}

TEST_F(BatchTest, EightCallersAtOnceGetTheBitsOfOne) {
  const Client shared = server_.Connect();
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (size_t caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      const Client client =
          caller % 2 == 0 ? shared : server_.Connect(server_.tcp_target());
      for (size_t i = 0; i < 50; ++i) {
        const Problem problem = Small(caller * 50 + i);
        if (!SameOutcomes(Send(client, problem), Solve(problem))) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace lossd::test
