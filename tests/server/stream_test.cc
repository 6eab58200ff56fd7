// Streams as messages, without a socket.

#include "server/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "tests/integration/messages.h"
#include "tests/integration/stream_calls.h"
#include "tests/proto/wire/differential.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A stream that computes whatever it can after each message.
class Driver {
 public:
  explicit Driver(const ArenaRegistry* arenas = nullptr) : arenas_(arenas) {}

  absl::Status Send(const v1::ComputeStreamRequest& message) {
    LOSSD_RETURN_IF_ERROR(
        stream_.Accept(wire::Cut(message.SerializeAsString(), 7)));
    while (stream_.HasWork()) {
      LOSSD_RETURN_IF_ERROR(stream_.BeginStep());
      // Backwards: any order is right.
      for (size_t i = stream_.units(); i > 0; --i) stream_.RunUnit(i - 1);
      LOSSD_RETURN_IF_ERROR(stream_.FinishStep());
    }
    Take();
    return absl::OkStatus();
  }

  absl::Status Send(const std::vector<v1::ComputeStreamRequest>& messages) {
    for (const auto& message : messages) LOSSD_RETURN_IF_ERROR(Send(message));
    return absl::OkStatus();
  }

  absl::Status End() {
    LOSSD_RETURN_IF_ERROR(stream_.End());
    Take();
    return absl::OkStatus();
  }

  // All of it.
  absl::StatusOr<StreamReply> Run(
      const std::vector<v1::ComputeStreamRequest>& messages) {
    LOSSD_RETURN_IF_ERROR(Send(messages));
    LOSSD_RETURN_IF_ERROR(End());
    return Joined(replies_, messages[0].header().item());
  }

  const std::vector<v1::ComputeStreamResponse>& replies() const {
    return replies_;
  }

 private:
  void Take() {
    for (const grpc::ByteBuffer& message : stream_.TakeOutput()) {
      EXPECT_TRUE(replies_.emplace_back().ParseFromString(wire::Join(message)));
    }
  }

  const ArenaRegistry* const arenas_;
  Metrics metrics_{1};
  // Nothing waits, so that the address sanitizer sees every late use.
  BufferPool pool_{0};
  Stream stream_{metrics_, pool_, arenas_,
                 [](int64_t) { return absl::OkStatus(); }};
  std::vector<v1::ComputeStreamResponse> replies_;
};

class StreamCaseTest : public testing::TestWithParam<LossCase> {
 protected:
  static std::vector<std::vector<int64_t>> Shapes() {
    if (IsRowwise(GetParam())) return {{300, 37}, {2, 5001}};
    return {{9000}, {300, 37}, {3, 5001}};
  }
};

void ExpectUnaryBits(const Problem& problem, const Form& form, Order order,
                     size_t most) {
  const absl::StatusOr<Answer> unary = Solve(problem, form);
  const absl::StatusOr<StreamReply> reply =
      Driver().Run(Messages(TakeApart(ItemOf(problem, form)), order, most, 3));
  if (!unary.ok()) {
    EXPECT_EQ(reply.status().code(), unary.status().code()) << reply.status();
    return;
  }
  ASSERT_THAT(reply, IsOk());
  if (!reply->gradient_scale) {
    EXPECT_TRUE(SameAnswers(AnswerOf(reply->result), unary));
    return;
  }
  EXPECT_EQ(order, Order::kTogether);
  EXPECT_EQ(*reply->gradient_scale,
            unary->result.normalizer == 0 ? 0 : 1 / unary->result.normalizer);
  // The rest is the same, and the gradient that of the sum.
  Problem sum = problem;
  sum.spec.reduction = Reduction::kSum;
  absl::StatusOr<Answer> unscaled = Solve(sum, form);
  ASSERT_THAT(unscaled, IsOk());
  absl::StatusOr<Answer> answer = AnswerOf(reply->result);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->gradient, unscaled->gradient);
  EXPECT_EQ(answer->extra_gradients, unscaled->extra_gradients);
  answer->gradient = unary->gradient;
  answer->extra_gradients = unary->extra_gradients;
  EXPECT_TRUE(SameAnswers(answer, unary));
}

bool CouplesAllRows(const Problem& problem) {
  return problem.traits().layout == RowLayout::kWhole;
}

TEST_P(StreamCaseTest, HasTheBitsOfTheUnaryCall) {
  for (const std::vector<int64_t>& shape : Shapes()) {
    for (const Problem& problem :
         Variants(Sample(GetParam(), shape, Dtype::kFloat32))) {
      if (CouplesAllRows(problem)) return;
      SCOPED_TRACE(testing::PrintToString(shape));
      const Form form{.dtype = Dtype::kFloat32};
      ExpectUnaryBits(problem, form, Order::kSidesFirst, 5000);
      ExpectUnaryBits(problem, form, Order::kTogether, 20000);
    }
  }
}

TEST_P(StreamCaseTest, AnyDtypeAndDiagnostics) {
  for (const Dtype dtype : {Dtype::kFloat64, Dtype::kBfloat16}) {
    Problem problem = Sample(GetParam(), Shapes().back(), dtype);
    AddMask(problem, 3);
    if (CouplesAllRows(problem)) return;
    ExpectUnaryBits(problem,
                    {.dtype = dtype,
                     .gradient_dtype = Dtype::kFloat32,
                     .diagnostics = true},
                    Order::kSidesFirst, 700);
  }
}

TEST_P(StreamCaseTest, NamesTheElementInTheWholeTensor) {
  const std::vector<int64_t> shape = {300, 37};
  Problem problem = Sample(GetParam(), shape, Dtype::kFloat64);
  if (CouplesAllRows(problem)) return;
  // In every row from there on, for some are ignored.
  for (size_t i = 9871; i < problem.predictions.size(); i += 37) {
    problem.predictions[i] = std::numeric_limits<double>::quiet_NaN();
  }
  const absl::StatusOr<Answer> unary = Solve(problem);
  ASSERT_FALSE(unary.ok());
  EXPECT_EQ(
      Driver()
          .Run(Messages(TakeApart(ItemOf(problem)), Order::kTogether, 999))
          .status()
          .message(),
      unary.status().message());
}

TEST_P(StreamCaseTest, RowsThatAreCoupledAreRefused) {
  const Problem problem = Sample(GetParam(), {20, 3}, Dtype::kFloat64);
  const absl::Status status = Driver().Send(TakeApart(ItemOf(problem)).header);
  if (CouplesAllRows(problem)) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr(".scope: got BATCH")));
  } else {
    EXPECT_THAT(status, IsOk());
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, StreamCaseTest, testing::ValuesIn(LossCases()),
                         CaseName);

v1::ComputeStreamRequest Zeros(const std::string& tensor, int64_t first,
                               size_t elements) {
  return ChunkOf(tensor, first, std::string(elements * sizeof(float), '\0'));
}

TEST(StreamTest, NoMessage) {
  EXPECT_THAT(Driver().End(), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("header")));
}

TEST(StreamTest, OneHeaderFirst) {
  EXPECT_THAT(Driver().Send({Zeros("targets", 0, 1)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("part: got a chunk")));
  EXPECT_THAT(Driver().Send({MseHeader(3), MseHeader(3)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("part: got a second header")));
  EXPECT_THAT(Driver().Send(v1::ComputeStreamRequest()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("part: got nothing")));
}

TEST(StreamTest, AnotherNumericsVersion) {
  v1::ComputeStreamRequest header = MseHeader(3);
  header.mutable_header()->set_numerics_version("other");
  EXPECT_THAT(Driver().Send(header),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("numerics_version: got other")));
  header.mutable_header()->set_numerics_version(std::string(NumericsVersion()));
  EXPECT_THAT(Driver().Send(header), IsOk());
}

TEST(StreamTest, ChunksThatAreNotTheNext) {
  const struct {
    v1::ComputeStreamRequest chunk;
    const char* text;
  } bad[] = {
      {Zeros("targets", 3, 2),
       "chunk.first_element: got element 3 of targets, allowed: element 2"},
      {Zeros("targets", 1, 2), "chunk.first_element: got element 1"},
      {Zeros("targets", -1, 2), "chunk.first_element: got element -1"},
      {Zeros("targets", 2, 9),
       "chunk.data: got 9 elements of targets, allowed: at most the 8"},
      {ChunkOf("targets", 2, "12345"),
       "chunk.data: got 5 bytes of targets, allowed: a multiple of the 4"},
      {Zeros("weights", 0, 2),
       "chunk.tensor: got weights, allowed: the tensors without storage in the "
       "header: predictions, targets"},
      {Zeros("", 0, 2), "chunk.tensor: got no name"},
  };
  for (const auto& [chunk, text] : bad) {
    EXPECT_THAT(Driver().Send({MseHeader(10), Zeros("targets", 0, 2), chunk}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(text)));
  }
}

// A number of a list takes one byte here.
TEST(StreamTest, MemoryOfTheHeaderIsAskedForBeforeItIsParsed) {
  v1::ComputeStreamRequest message;
  message.mutable_header()
      ->mutable_item()
      ->mutable_mask()
      ->mutable_int_values()
      ->mutable_values()
      ->Resize(60'000, 1);
  int64_t asked = 0;
  Metrics metrics(1);
  BufferPool pool(0);
  Stream stream(metrics, pool, nullptr, [&](int64_t bytes) {
    asked = bytes;
    return absl::UnavailableError("no memory");
  });
  EXPECT_THAT(stream.Accept(wire::Cut(message.SerializeAsString(), 1000)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no memory")));
  EXPECT_GE(asked, 17 * 60'000);
}

TEST(StreamTest, ATensorGivenTwice) {
  v1::ComputeStreamRequest header = MseHeader(3);
  header.mutable_header()->mutable_item()->mutable_targets()->set_data(
      std::string(12, '\0'));
  EXPECT_THAT(Driver().Send({header, Zeros("targets", 0, 3)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("chunk.tensor: got targets"),
                             HasSubstr("header has whole"))));
}

TEST(StreamTest, SmallTensorsMustBeInTheHeader) {
  v1::ComputeStreamRequest header = MseHeader(3);
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  item.mutable_upstream_gradient()->set_dtype(v1::DTYPE_FLOAT32);
  EXPECT_THAT(Driver().Send(header),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("upstream_gradient: got no elements yet")));
}

TEST(StreamTest, SomethingIsMissingAtTheEnd) {
  Driver driver;
  EXPECT_THAT(driver.Send({MseHeader(5000), Zeros("predictions", 0, 5000),
                           Zeros("targets", 0, 4999)}),
              IsOk());
  EXPECT_THAT(driver.End(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("targets: got 4999 elements before the end of "
                                 "the stream, allowed: 5000 elements")));
}

TEST(StreamTest, GradientsComeWhenTheyAreKnown) {
  Driver driver;
  EXPECT_THAT(driver.Send({MseHeader(10000), Zeros("predictions", 0, 10000),
                           Zeros("targets", 0, 4095)}),
              IsOk());
  EXPECT_TRUE(driver.replies().empty());
  EXPECT_THAT(driver.Send(Zeros("targets", 4095, 1)), IsOk());
  ASSERT_EQ(driver.replies().size(), 1);
  EXPECT_EQ(driver.replies()[0].chunk().data().size(), 4 * 4096);
  EXPECT_THAT(driver.Send(Zeros("targets", 4096, 5904)), IsOk());
  EXPECT_EQ(driver.replies().size(), 2);
  EXPECT_THAT(driver.End(), IsOk());
  EXPECT_TRUE(driver.replies().back().has_result());
  EXPECT_EQ(driver.replies().back().numerics_version(), NumericsVersion());
}

TEST(StreamTest, AnEmptyTensor) {
  const auto reply = Driver().Run({MseHeader(0)});
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply->result.loss(), 0);
}

// As much as may wait, and one chunk more.
TEST(StreamTest, ATensorThatIsBehind) {
  Driver driver;
  constexpr size_t kElements = size_t{1} << 20;
  EXPECT_THAT(driver.Send({MseHeader(int64_t{1} << 40),
                           Zeros("predictions", 0, kElements),
                           Zeros("predictions", kElements, kElements),
                           Zeros("targets", 0, 4095)}),
              IsOk());
  EXPECT_THAT(driver.Send(Zeros("predictions", 2 * kElements, kElements)),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("wait for more of targets, of which "
                                       "4095 elements came"),
                             HasSubstr("allowed: 8421376 bytes"))));
}

TEST(StreamTest, AChunkThatIsTooLarge) {
  constexpr size_t kElements = (size_t{1} << 20) + 1;
  EXPECT_THAT(Driver().Send({MseHeader(int64_t{1} << 40),
                             Zeros("predictions", 0, kElements)}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("4194308 bytes of predictions"),
                             HasSubstr("at most 4194304"))));
}

TEST(StreamTest, RowsThatAreTooLong) {
  v1::ComputeStreamRequest header;
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  item.mutable_loss()
      ->mutable_sparse_categorical_cross_entropy()
      ->set_prediction_kind(v1::PREDICTION_KIND_LOGITS);
  item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT32);
  item.mutable_predictions()->add_shape(2);
  item.mutable_predictions()->add_shape(int64_t{5} << 20);
  item.mutable_targets()->set_dtype(v1::DTYPE_INT64);
  item.mutable_targets()->add_shape(2);
  EXPECT_THAT(
      Driver().Send(header),
      StatusIs(absl::StatusCode::kInvalidArgument,
               AllOf(HasSubstr("predictions.shape"), HasSubstr("16777216"))));
}

// The outputs of a row count, however small what comes in chunks is.
TEST(StreamTest, RowsWithOutputsThatAreTooLarge) {
  constexpr int64_t kColumns = int64_t{3} << 20;
  v1::ComputeStreamRequest header;
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  item.mutable_loss()
      ->mutable_sparse_categorical_cross_entropy()
      ->set_prediction_kind(v1::PREDICTION_KIND_LOGITS);
  item.mutable_predictions()->set_dtype(v1::DTYPE_BFLOAT16);
  item.mutable_predictions()->add_shape(1);
  item.mutable_predictions()->add_shape(kColumns);
  item.mutable_predictions()->set_data(
      std::string(2 * static_cast<size_t>(kColumns), '\0'));
  item.mutable_targets()->set_dtype(v1::DTYPE_INT64);
  item.mutable_targets()->add_shape(1);
  EXPECT_THAT(Driver().Send(header), IsOk());
  item.mutable_outputs()->set_gradient(true);
  item.mutable_outputs()->set_gradient_dtype(v1::DTYPE_FLOAT64);
  EXPECT_THAT(Driver().Send(header),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("predictions.shape"),
                             HasSubstr("takes 25165832 bytes"))));
}

TEST(StreamTest, TensorsInChunksHaveADtype) {
  v1::ComputeStreamRequest header = MseHeader(3);
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  item.mutable_targets()->Clear();
  EXPECT_THAT(Driver().Send(header),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("targets.dtype: got DTYPE_UNSPECIFIED")));
  // Where the library would not look at them, either.
  item.mutable_loss()->mutable_triplet();
  for (const char* name : {"positive", "negative"}) {
    (*item.mutable_extra_inputs())[name] = item.predictions();
  }
  EXPECT_THAT(Driver().Send(header),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("targets.dtype: got DTYPE_UNSPECIFIED")));
}

// What a message has beside its data would be held with it.
TEST(StreamTest, AMessageOfMoreThanItsChunk) {
  v1::ComputeStreamRequest chunk = Zeros("targets", 0, 10);
  chunk.mutable_chunk()
      ->GetReflection()
      ->MutableUnknownFields(chunk.mutable_chunk())
      ->AddLengthDelimited(99, std::string(size_t{5} << 20, 'x'));
  EXPECT_THAT(Driver().Send({MseHeader(10), chunk}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("chunk: got a message of")));
}

// Compute would choose float64, by a divisor that comes too late here.
TEST(StreamTest, FactorsThatTurnOutTooSmall) {
  constexpr int64_t kRows = 8192;
  constexpr size_t kHalf = kRows / 2;
  v1::ComputeStreamRequest header = MseHeader(kRows);
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  *item.mutable_sample_weights() = item.predictions();
  item.mutable_mask()->set_dtype(v1::DTYPE_BOOL);
  item.mutable_mask()->add_shape(kRows);
  const std::vector<float> weights(kHalf, 1e-36F);
  std::string bytes(weights.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), weights.data(), bytes.size());
  std::vector<v1::ComputeStreamRequest> messages = {header};
  for (const int64_t first : {int64_t{0}, kRows / 2}) {
    messages.push_back(ChunkOf("mask", first, std::string(kHalf, 1)));
    messages.push_back(ChunkOf("sample_weights", first, bytes));
    messages.push_back(Zeros("targets", first, kHalf));
    messages.push_back(Zeros("predictions", first, kHalf));
  }
  EXPECT_THAT(Driver().Run(messages),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("sample_weights.data")));
}

// Nothing is allocated for what has not come.
TEST(StreamTest, AShapeAloneTakesNoMemory) {
  Driver driver;
  EXPECT_THAT(
      driver.Send({MseHeader(int64_t{1} << 60), Zeros("predictions", 0, 4096),
                   Zeros("targets", 0, 4096)}),
      IsOk());
  EXPECT_EQ(driver.replies().size(), 1);
}

// Losses 1, 1 and 4, of which the last is masked.
v1::ComputeStreamRequest MaskedHeader() {
  v1::ComputeStreamRequest header = MseHeader(3);
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  *item.mutable_targets() =
      TensorOf(v1::DTYPE_FLOAT32, std::vector<float>{1, -1, 2}, {3});
  item.mutable_mask()->set_dtype(v1::DTYPE_BOOL);
  item.mutable_mask()->add_shape(3);
  return header;
}

std::vector<float> GradientOf(const StreamReply& reply) {
  const std::string& data = reply.result.gradient().data();
  std::vector<float> gradient(data.size() / sizeof(float));
  std::memcpy(gradient.data(), data.data(), data.size());
  return gradient;
}

// The last chunk completes the mask and the first block.
TEST(StreamTest, TheNormalizerIsKnownWhenTheMaskIs) {
  const auto reply = Driver().Run({MaskedHeader(), Zeros("predictions", 0, 3),
                                   ChunkOf("mask", 0, {1, 1, 0})});
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply->gradient_scale, std::nullopt);
  EXPECT_THAT(GradientOf(*reply), testing::ElementsAre(-1, 1, 0));
}

// Two blocks, of which the first can be computed before the mask is complete.
TEST(StreamTest, TheScaleComesLast) {
  v1::ComputeStreamRequest header = MseHeader(5000);
  v1::LossItem& item = *header.mutable_header()->mutable_item();
  *item.mutable_targets() =
      TensorOf(v1::DTYPE_FLOAT32, std::vector<float>(5000, -0.5F), {5000});
  item.mutable_mask()->set_dtype(v1::DTYPE_BOOL);
  item.mutable_mask()->add_shape(5000);
  const std::vector<v1::ComputeStreamRequest> chunks = {
      header, ChunkOf("mask", 0, std::string(4096, 1)),
      Zeros("predictions", 0, 4096), ChunkOf("mask", 4096, std::string(904, 0)),
      Zeros("predictions", 4096, 904)};
  const auto reply = Driver().Run(chunks);
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply->gradient_scale, 1.0 / 4096);
  EXPECT_EQ(GradientOf(*reply)[0], 1);
  EXPECT_EQ(reply->result.loss(), 0.25);
  EXPECT_EQ(reply->result.normalizer(), 4096);

  // It is not needed when the caller knows the divisor.
  std::vector<v1::ComputeStreamRequest> normalized = chunks;
  normalized[0].mutable_header()->mutable_item()->set_normalizer(2);
  const auto known = Driver().Run(normalized);
  ASSERT_THAT(known, IsOk());
  EXPECT_EQ(known->gradient_scale, std::nullopt);
  EXPECT_EQ(GradientOf(*known)[0], 0.5);
}

// A stream with a budget of its own, and an arena.
class ArenaStreamTest : public testing::Test {
 protected:
  ArenaStreamTest() {
    absl::StatusOr<ArenaRegistry::Granted> granted =
        registry_.Create(1, size_t{1} << 20);
    EXPECT_THAT(granted, IsOk());
    id_.assign(reinterpret_cast<const char*>(granted->id.data()),
               granted->id.size());
    memory_ = granted->arena->memory();
    arena_ = std::move(granted->arena);
  }

  v1::ArenaRef Move(uint64_t offset, const std::string& data) const {
    std::memcpy(memory_.data() + offset, data.data(), data.size());
    v1::ArenaRef ref;
    ref.set_id(id_);
    ref.set_offset(offset);
    ref.set_length(data.size());
    return ref;
  }

  std::string Read(const v1::ArenaRef& ref) const {
    return {reinterpret_cast<const char*>(memory_.data()) + ref.offset(),
            ref.length()};
  }

  MemoryBudget budget_{int64_t{1} << 30, 0};
  ArenaRegistry registry_{{.arenas_per_owner = 1,
                           .bytes_per_owner = 1 << 20,
                           .arenas = 1,
                           .bytes = 1 << 20},
                          budget_};
  std::string id_;
  std::span<std::byte> memory_;
  std::shared_ptr<Arena> arena_;
};

TEST_F(ArenaStreamTest, InputsAndOutputsMayBeInArenas) {
  v1::LossItem item;
  item.mutable_loss()->mutable_mean_squared_error();
  std::vector<float> numbers(60'000);
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<float>(i % 101) / 4;
  }
  *item.mutable_predictions() =
      TensorOf(v1::DTYPE_FLOAT32, numbers, {30'000, 2});
  std::ranges::reverse(numbers);
  *item.mutable_targets() = TensorOf(v1::DTYPE_FLOAT32, numbers, {30'000, 2});
  item.mutable_outputs()->set_gradient(true);
  item.mutable_outputs()->set_row_losses(true);
  const absl::StatusOr<StreamReply> expected =
      Driver().Run(Messages(TakeApart(item), Order::kTogether, 5000));
  ASSERT_THAT(expected, IsOk());

  // Targets in the arena, predictions in chunks.
  StreamedItem apart = TakeApart(item);
  v1::LossItem& header = *apart.header.mutable_header()->mutable_item();
  *header.mutable_targets()->mutable_arena() = Move(1, item.targets().data());
  std::erase_if(apart.tensors, [](const StreamedTensor& tensor) {
    return tensor.name == "targets";
  });
  const v1::ArenaRef gradient =
      Move(250'000, std::string(item.predictions().data().size(), '\0'));
  const v1::ArenaRef row_losses = Move(500'001, std::string(240'000, '\0'));
  *header.mutable_outputs()->mutable_gradient_to() = gradient;
  *header.mutable_outputs()->mutable_row_losses_to() = row_losses;
  Driver driver(&registry_);
  ASSERT_THAT(driver.Send(Messages(apart, Order::kTogether, 5000)), IsOk());
  ASSERT_THAT(driver.End(), IsOk());
  // Nothing but the result is sent.
  ASSERT_EQ(driver.replies().size(), 1U);
  const v1::LossResult& result = driver.replies()[0].result();
  EXPECT_EQ(result.loss(), expected->result.loss());
  EXPECT_EQ(result.gradient().arena().SerializeAsString(),
            gradient.SerializeAsString());
  EXPECT_EQ(Read(gradient), expected->result.gradient().data());
  EXPECT_EQ(Read(row_losses), expected->result.row_losses().data());

  // All in the arena, and the gradient in the place of the predictions.
  v1::ComputeStreamRequest whole = apart.header;
  v1::LossItem& all = *whole.mutable_header()->mutable_item();
  *all.mutable_predictions()->mutable_arena() =
      Move(250'000, item.predictions().data());
  Driver in_place(&registry_);
  ASSERT_THAT(in_place.Send(whole), IsOk());
  ASSERT_THAT(in_place.End(), IsOk());
  EXPECT_EQ(Read(gradient), expected->result.gradient().data());

  // An overlap that is none.
  all.mutable_predictions()->mutable_arena()->set_offset(250'001);
  EXPECT_THAT(Driver(&registry_).Send(whole),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("outputs.gradient_to")));
  all.mutable_predictions()->mutable_arena()->set_id("0123456789abcdef");
  EXPECT_THAT(
      Driver(&registry_).Send(whole),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("predictions.arena.id")));
}

// Nothing of these outputs is ever there at once, so their bytes, modulo 2^64,
// once passed for the length of a range, and chunks were written behind it.
TEST_F(ArenaStreamTest, OutputsOfMoreBytesThanThereAreAddresses) {
  const auto refuse = [&](const std::string& field, const auto& want) {
    for (const int64_t more : {0, 3}) {
      v1::ComputeStreamRequest header = MseHeader((int64_t{1} << 61) + more);
      v1::LossItem& item = *header.mutable_header()->mutable_item();
      item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT16);
      item.mutable_targets()->set_dtype(v1::DTYPE_BOOL);
      want(Move(0, std::string(static_cast<size_t>(8 * more), '\0')), &item);
      EXPECT_THAT(
          Driver(&registry_).Send(header),
          StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(field)));
    }
  };
  refuse("outputs.gradient_to.length",
         [](const v1::ArenaRef& to, v1::LossItem* item) {
           item->mutable_outputs()->set_gradient_dtype(v1::DTYPE_FLOAT64);
           *item->mutable_outputs()->mutable_gradient_to() = to;
         });
  refuse("outputs.row_losses_to.length",
         [](const v1::ArenaRef& to, v1::LossItem* item) {
           item->set_reduction(v1::REDUCTION_NONE);
           *item->mutable_outputs()->mutable_row_losses_to() = to;
         });
}

// What has gone through leaves nothing behind, whatever became of it.
TEST(StreamTest, BuffersGoBack) {
  Metrics metrics(1);
  BufferPool pool(0);
  {
    Stream stream(metrics, pool, nullptr,
                  [](int64_t) { return absl::OkStatus(); });
    for (const auto& message :
         {MseHeader(8192), Zeros("predictions", 0, 8000),
          Zeros("targets", 0, 10), Zeros("targets", 10, 4100)}) {
      ASSERT_THAT(stream.Accept(wire::Cut(message.SerializeAsString(), 7)),
                  IsOk());
    }
    ASSERT_TRUE(stream.HasWork());
    ASSERT_THAT(stream.BeginStep(), IsOk());
    EXPECT_GT(pool.figures().used, 0);
  }
  EXPECT_EQ(pool.figures().used, 0);
}

}  // namespace
}  // namespace lossd::test
