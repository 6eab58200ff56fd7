// What arrives over a socket has the bits that the library computes in this
// process: every loss, reduction, dtype and input.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/loss_cases.h"

namespace lossd::test {
namespace {

// More than one block of the library's.
const std::vector<int64_t> kShape = {613, 9};

class WireTest : public testing::TestWithParam<LossCase> {
 protected:
  static void SetUpTestSuite() {
    server_ = new RunningServer;
    clients_ = new std::vector<Client>{server_->Connect(server_->unix_target()),
                                       server_->Connect(server_->tcp_target())};
  }
  static void TearDownTestSuite() {
    delete clients_;
    delete server_;
  }

  static const RunningServer& server() { return *server_; }
  // One a kind of socket.
  static const std::vector<Client>& clients() { return *clients_; }

  static std::vector<Problem> VariantsOf(
      Dtype dtype, Semantics semantics = Semantics::kStrict) {
    Problem problem = Sample(GetParam(), kShape, dtype);
    // Rows may be others than those of STRICT from here on.
    problem.spec.semantics = semantics;
    std::vector<Problem> variants = Variants(problem);
    for (Problem& variant : variants) {
      // A normalizer is one of means.
      if (!variant.spec.reduction) variant.spec.reduction = Reduction::kMean;
    }
    return variants;
  }

  static inline const RunningServer* server_;
  static inline const std::vector<Client>* clients_;
};

TEST_P(WireTest, TheClientGetsTheBitsOfTheLibrary) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (const Problem& problem : VariantsOf(dtype)) {
      const Form form{.dtype = dtype, .diagnostics = true};
      const absl::StatusOr<Answer> expected = Solve(problem, form);
      for (const Client& client : clients()) {
        EXPECT_TRUE(SameAnswers(Send(client, problem, form), expected))
            << client.target() << ", reduction "
            << static_cast<int>(*problem.spec.reduction);
      }
    }
  }
}

TEST_P(WireTest, EverySemanticsHasTheBitsOfTheLibrary) {
  for (const Semantics semantics : {Semantics::kPytorch, Semantics::kKeras}) {
    for (const Problem& problem : VariantsOf(Dtype::kFloat32, semantics)) {
      const Form form{.dtype = Dtype::kFloat32, .diagnostics = true};
      EXPECT_TRUE(
          SameAnswers(Send(clients()[0], problem, form), Solve(problem, form)))
          << "reduction " << static_cast<int>(*problem.spec.reduction);
    }
  }
}

// Probabilities may be rounded to 1 and be refused, here as there.
TEST_P(WireTest, HalfTypesHaveTheBitsOfTheLibrary) {
  for (const Dtype dtype : {Dtype::kFloat16, Dtype::kBfloat16}) {
    const Problem problem = VariantsOf(Dtype::kFloat32)[3];
    for (const Dtype gradient_dtype : {dtype, Dtype::kFloat32}) {
      const Form form{.dtype = dtype,
                      .target_dtype = Dtype::kFloat32,
                      .weight_dtype = dtype,
                      .gradient_dtype = gradient_dtype};
      const absl::StatusOr<Answer> expected = Solve(problem, form);
      EXPECT_TRUE(SameOutcomes(Send(clients()[0], problem, form), expected));
      for (const Storage storage : {Storage::kData, Storage::kValues}) {
        const v1::LossResult result =
            server().Compute(ItemOf(problem, form, storage));
        EXPECT_TRUE(SameOutcomes(AnswerOf(result), expected));
      }
    }
  }
}

TEST_P(WireTest, DtypesMayDiffer) {
  const Problem problem =
      Variants(Sample(GetParam(), kShape, Dtype::kFloat32))[3];
  const Form form{.dtype = Dtype::kFloat32,
                  .target_dtype = Dtype::kFloat64,
                  .label_dtype = Dtype::kInt32,
                  .weight_dtype = Dtype::kFloat32,
                  .extra_dtype = Dtype::kFloat64,
                  .gradient_dtype = Dtype::kFloat64};
  EXPECT_TRUE(
      SameAnswers(Send(clients()[0], problem, form), Solve(problem, form)));
}

TEST_P(WireTest, LossAloneHasTheBitsOfLossWithGradient) {
  const Problem problem = VariantsOf(Dtype::kFloat32)[3];
  const Form form{
      .dtype = Dtype::kFloat32, .gradient = false, .row_losses = false};
  const auto answer = Send(clients()[0], problem, form);
  EXPECT_TRUE(SameAnswers(answer, Solve(problem, form)));
  const auto full = Solve(problem, {.dtype = Dtype::kFloat32});
  ASSERT_TRUE(answer.ok() && full.ok());
  EXPECT_TRUE(SameBits(*answer, *full));
}

TEST_P(WireTest, ShapesOfAnyRank) {
  const bool rowwise = IsRowwise(GetParam());
  std::vector<std::vector<int64_t>> shapes = {
      {1, 1}, {2, 3, 5}, {1, 2, 1, 2, 1, 2, 1, 4}, {0, 3}, {4, 0, 2}};
  if (!rowwise) shapes.insert(shapes.end(), {{}, {1}, {17}, {0}});
  for (const auto& shape : shapes) {
    const Problem problem = Sample(GetParam(), shape, Dtype::kFloat64);
    const v1::LossResult result = server().Compute(ItemOf(problem));
    EXPECT_TRUE(SameOutcomes(AnswerOf(result), Solve(problem)))
        << testing::PrintToString(shape);
  }
}

TEST_P(WireTest, NumbersWrittenOutHaveTheBitsOfData) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    const Problem problem = VariantsOf(dtype)[3];
    const Form form{.dtype = dtype, .label_dtype = Dtype::kInt32};
    const v1::LossResult result =
        server().Compute(ItemOf(problem, form, Storage::kValues));
    EXPECT_TRUE(SameAnswers(AnswerOf(result), Solve(problem, form)));
    EXPECT_TRUE(result.gradient().has_values());
    EXPECT_TRUE(result.row_losses().has_values());
    for (const auto& [name, gradient] : result.extra_gradients()) {
      EXPECT_TRUE(gradient.has_values()) << name;
    }
  }
}

std::vector<int64_t> ShapeOf(const v1::Tensor& tensor) {
  return {tensor.shape().begin(), tensor.shape().end()};
}

TEST_P(WireTest, ReplyTensorsSayWhatTheyAre) {
  for (const Semantics semantics :
       {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
    const Problem problem = VariantsOf(Dtype::kFloat32, semantics)[0];
    const v1::LossResult result =
        server().Compute(ItemOf(problem, {.dtype = Dtype::kFloat32}));
    EXPECT_EQ(result.gradient().storage_case(), v1::Tensor::kData);
    EXPECT_EQ(result.gradient().dtype(), v1::DTYPE_FLOAT32);
    EXPECT_EQ(ShapeOf(result.gradient()), kShape);
    for (const auto& [name, gradient] : result.extra_gradients()) {
      EXPECT_EQ(gradient.storage_case(), v1::Tensor::kData) << name;
      EXPECT_EQ(gradient.dtype(), v1::DTYPE_FLOAT32) << name;
      EXPECT_EQ(ShapeOf(gradient), kShape) << name;
    }
    EXPECT_EQ(result.row_losses().storage_case(), v1::Tensor::kData);
    EXPECT_EQ(result.row_losses().dtype(), v1::DTYPE_FLOAT64);
    EXPECT_EQ(ShapeOf(result.row_losses()), RowShapeOf(problem));
  }
}

TEST_P(WireTest, WhatWasInForceIsEchoed) {
  for (const auto& [semantics, echo] :
       {std::pair{Semantics::kStrict, v1::SEMANTICS_STRICT},
        std::pair{Semantics::kPytorch, v1::SEMANTICS_PYTORCH},
        std::pair{Semantics::kKeras, v1::SEMANTICS_KERAS}}) {
    Problem problem = VariantsOf(Dtype::kFloat32, semantics)[0];
    v1::LossResult result = server().Compute(ItemOf(problem));
    EXPECT_EQ(result.loss_in_force().DebugString(),
              LossInForce(problem).DebugString());
    EXPECT_EQ(result.reduction(), v1::REDUCTION_NONE);
    EXPECT_EQ(result.semantics(), echo);

    problem.spec.reduction = std::nullopt;
    result = server().Compute(ItemOf(problem));
    const bool weighted =
        semantics == Semantics::kPytorch && !problem.labels.empty() &&
        !problem.class_weights.empty() && !problem.traits().plain_mean;
    EXPECT_EQ(result.reduction(),
              weighted ? v1::REDUCTION_WEIGHTED_MEAN : v1::REDUCTION_MEAN);
  }
}

TEST_P(WireTest, WhatIsInForceGivesTheSameAgain) {
  for (const Semantics semantics :
       {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
    v1::LossItem item = ItemOf(VariantsOf(Dtype::kFloat32, semantics)[3]);
    const v1::LossResult result = server().Compute(item);
    *item.mutable_loss() = result.loss_in_force();
    EXPECT_EQ(BytesOf(server().Compute(item)), BytesOf(result));
  }
}

TEST_P(WireTest, EveryNameOfTheLossHasTheBitsOfItsMessage) {
  const v1::LossItem typed = ItemOf(VariantsOf(Dtype::kFloat32)[3]);
  const std::string expected = BytesOf(server().Compute(typed));
  v1::Loss loss = typed.loss();
  const v1::LossInfo& info =
      MutableOptions(&loss)->GetDescriptor()->options().GetExtension(v1::loss);
  std::vector<std::string> names(info.aliases().begin(), info.aliases().end());
  names.push_back(info.name());
  for (const std::string& name : names) {
    v1::LossItem named = typed;
    *named.mutable_loss()->mutable_named() = NamedLossOf(name, typed.loss());
    EXPECT_EQ(BytesOf(server().Compute(named)), expected) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, WireTest, testing::ValuesIn(LossCases()),
                         CaseName);

}  // namespace
}  // namespace lossd::test
