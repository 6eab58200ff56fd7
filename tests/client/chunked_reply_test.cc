// What a server may answer in chunks, and what it must not.

#include "client/chunked_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lossd {
namespace {

using client_internal::CheckRowLossesBefore;
using client_internal::ChunkedReply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Message = v1::ComputeStreamResponse;

template <class T>
Message Chunk(const std::string& tensor, int64_t first,
              const std::vector<T>& numbers) {
  Message message;
  v1::StreamChunk& chunk = *message.mutable_chunk();
  chunk.set_tensor(tensor);
  chunk.set_first_element(first);
  chunk.set_data(numbers.data(), numbers.size() * sizeof(T));
  return message;
}

Message Result() {
  Message message;
  message.mutable_result()->set_loss(0.5);
  message.mutable_result()->set_row_count(2);
  message.mutable_result()->set_ignored_count(1);
  return message;
}

class ChunkedReplyTest : public ::testing::Test {
 protected:
  ChunkedReplyTest() {
    call_.predictions = ViewOf(predictions_, {3, 2});
    call_.extra_inputs["variance"] = *call_.predictions;
    call_.gradient = MutableViewOf(gradient_);
    call_.row_losses = row_losses_;
  }

  absl::StatusOr<ClientResult> Receive(const std::vector<Message>& messages) {
    ChunkedReply reply(call_, "target");
    for (const Message& message : messages) {
      const grpc::Slice bytes(message.SerializeAsString());
      absl::Status status = reply.Accept(grpc::ByteBuffer(&bytes, 1));
      if (!status.ok()) return status;
    }
    return reply.Finish();
  }

  void ExpectBroken(const std::vector<Message>& messages,
                    const std::string& text) {
    const absl::Status status = Receive(messages).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_THAT(std::string(status.message()),
                StartsWith("target: the server sent "));
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }

  static Message Floats(int64_t first, const std::vector<float>& numbers) {
    return Chunk("gradient", first, numbers);
  }
  static Message Rows(int64_t first, const std::vector<double>& numbers) {
    return Chunk("row_losses", first, numbers);
  }

  const std::vector<float> predictions_ = {1, 2, 3, 4, 5, 6};
  std::vector<float> gradient_ = std::vector<float>(6, -1);
  std::vector<float> variance_gradient_ = std::vector<float>(6, -1);
  std::vector<double> row_losses_ = std::vector<double>(3, -1);
  LossCall call_;
};

TEST_F(ChunkedReplyTest, ChunksGoWhereTheyBelong) {
  call_.extra_gradients["variance"] = MutableViewOf(variance_gradient_);
  const auto result =
      Receive({Floats(0, {1, 2}), Rows(0, {7}), Floats(2, {3, 4, 5, 6}),
               Chunk<float>("variance", 0, {6, 5, 4, 3, 2, 1}), Floats(6, {}),
               Rows(1, {8, 9}), Result()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->loss, 0.5);
  EXPECT_EQ(result->row_count, 2);
  EXPECT_THAT(gradient_, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(variance_gradient_, ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(row_losses_, ElementsAre(7, 8, 9));
}

TEST_F(ChunkedReplyTest, WhatNobodyWantsIsPassedOver) {
  call_.gradient = {};
  call_.row_losses = {};
  call_.reduction = v1::REDUCTION_NONE;
  call_.extra_gradients["variance"] = MutableViewOf(variance_gradient_);
  const auto result =
      Receive({Floats(0, {1, 2}), Rows(0, {7}),
               Chunk<float>("variance", 0, {6, 5, 4, 3, 2, 1}), Result()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(variance_gradient_, ElementsAre(6, 5, 4, 3, 2, 1));
}

TEST_F(ChunkedReplyTest, AScaleIsOfAllGradientsAndTheirNorms) {
  call_.extra_gradients["variance"] = MutableViewOf(variance_gradient_);
  Message last = Result();
  last.set_gradient_scale(0.25);
  auto& figures = *last.mutable_result()->mutable_diagnostics();
  figures["gradient_l2_norm"] = 8;
  figures["gradient_max_norm"] = 4;
  figures["accuracy"] = 0.5;
  const auto result =
      Receive({Floats(0, {1, 2, 3, 4, 5, 6}), Rows(0, {7, 8, 9}),
               Chunk<float>("variance", 0, {8, 8, 8, 8, 8, 8}), last});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(gradient_, ElementsAre(0.25F, 0.5F, 0.75F, 1, 1.25F, 1.5F));
  EXPECT_THAT(variance_gradient_, ElementsAre(2, 2, 2, 2, 2, 2));
  EXPECT_THAT(row_losses_, ElementsAre(7, 8, 9));
  EXPECT_EQ(result->diagnostics.at("gradient_l2_norm"), 2);
  EXPECT_EQ(result->diagnostics.at("gradient_max_norm"), 1);
  EXPECT_EQ(result->diagnostics.at("accuracy"), 0.5);
}

TEST_F(ChunkedReplyTest, AnythingElseIsBroken) {
  const Message rows = Rows(0, {7, 8, 9});
  ExpectBroken({Floats(1, {1})},
               "a chunk of gradient with 4 bytes from element 1, expected were "
               "elements of 4 bytes from 0");
  ExpectBroken({Floats(0, {1, 2}), Floats(1, {2})}, "from element 1");
  ExpectBroken({Floats(0, {1, 2}), Floats(3, {2})}, "from element 3");
  ExpectBroken({Floats(-1, {1})}, "from element -1");
  ExpectBroken({Chunk<char>("gradient", 0, {'a', 'b', 'c'})},
               "with 3 bytes from element 0");
  ExpectBroken({Floats(0, {1, 2, 3, 4}), Floats(4, {1, 2, 3})},
               "a chunk of gradient with 12 bytes from element 4, expected "
               "were at most 8 bytes more");
  ExpectBroken({Chunk<float>("targets", 0, {1})},
               "a chunk of 'targets', which was not asked for");
  ExpectBroken({Message()}, "neither a chunk nor a result");
  ExpectBroken({Result(), Result()}, "a message after the result");
  ExpectBroken({rows, Result()}, "0 bytes of gradient, expected were 24");
  ExpectBroken({rows, Floats(0, {1, 2, 3, 4, 5}), Result()},
               "20 bytes of gradient, expected were 24");
  ExpectBroken({Floats(0, {1, 2, 3, 4, 5, 6}), Rows(0, {7}), Result()},
               "8 bytes of row_losses, expected were 24");
  ExpectBroken({rows, Floats(0, {1, 2, 3, 4, 5, 6})}, "no result");
  ExpectBroken({}, "no result");
}

TEST_F(ChunkedReplyTest, BytesThatAreNoMessage) {
  ChunkedReply reply(call_, "target");
  const grpc::Slice bytes(std::string("\xFF\xFF"));
  EXPECT_THAT(std::string(reply.Accept(grpc::ByteBuffer(&bytes, 1)).message()),
              HasSubstr("the server sent 2 bytes that are no"));
}

TEST_F(ChunkedReplyTest, NothingIsWrittenBeyondADestination) {
  call_.gradient.bytes = 4 * sizeof(float);
  ExpectBroken({Floats(0, {1, 2, 3}), Floats(3, {4, 5})}, "at most 4 bytes");
  EXPECT_THAT(gradient_, ElementsAre(1, 2, 3, -1, -1, -1));
}

TEST_F(ChunkedReplyTest, RowLossesOfAnotherNumberOfRows) {
  const Message gradient = Floats(0, {1, 2, 3, 4, 5, 6});
  row_losses_.resize(2);
  call_.row_losses = row_losses_;
  EXPECT_EQ(
      Receive({gradient, Rows(0, {7, 8, 9}), Result()}).status().message(),
      "row_losses: got 16 bytes, allowed: one element for each row; "
      "there are more rows");
  row_losses_.resize(4);
  call_.row_losses = row_losses_;
  EXPECT_EQ(
      Receive({gradient, Rows(0, {7, 8, 9}), Result()}).status().message(),
      "row_losses: got 32 bytes, allowed: 3 x 8 bytes, one element for "
      "each row");
}

TEST_F(ChunkedReplyTest, AnExtraInputWithoutAGradient) {
  call_.extra_gradients["variance"] = MutableViewOf(variance_gradient_);
  const absl::Status status =
      Receive({Floats(0, {1, 2, 3, 4, 5, 6}), Rows(0, {7, 8, 9}), Result()})
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("extra_gradients.variance: got a destination"));
}

TEST_F(ChunkedReplyTest, AResultThatIsAnError) {
  Message last;
  last.mutable_result()->mutable_status()->set_code(3);
  last.mutable_result()->mutable_status()->set_message("no");
  const absl::Status status = Receive({last}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "no");
}

// A row is the last axis, an element, what lies behind the first axis, or all.
TEST_F(ChunkedReplyTest, NumbersOfRowsThatNoLossHas) {
  const std::vector<float> predictions(24);
  call_.predictions = ViewOf(predictions, {2, 4, 3});
  for (const size_t rows : {0U, 1U, 2U, 8U, 24U}) {
    row_losses_.resize(rows);
    call_.row_losses = row_losses_;
    EXPECT_TRUE(CheckRowLossesBefore(call_).ok()) << rows;
  }
  for (const size_t rows : {3U, 6U, 7U, 25U}) {
    row_losses_.resize(rows);
    call_.row_losses = row_losses_;
    EXPECT_THAT(std::string(CheckRowLossesBefore(call_).message()),
                HasSubstr("8 bytes for each row: 24, 8, 2, 1 as the loss"))
        << rows;
  }
  call_.predictions->shape = {-24};
  EXPECT_TRUE(CheckRowLossesBefore(call_).ok());
}

}  // namespace
}  // namespace lossd
