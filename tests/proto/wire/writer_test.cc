// What is written is what the generated classes would write.

#include "proto/wire/writer.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/proto/wire/differential.h"

namespace lossd::wire {
namespace {

v1::LossResult* AddResult(size_t bytes, v1::ComputeResponse* response) {
  v1::LossResult* result = response->add_results();
  result->set_loss(0.5);
  result->mutable_row_losses()->set_data(std::string(bytes / 2, 'r'));
  result->mutable_gradient()->add_shape(static_cast<int64_t>(bytes));
  result->mutable_gradient()->set_data(std::string(bytes, 'g'));
  result->add_warnings("a warning");
  return result;
}

// The bytes of the message with its tensors as payloads.
std::string Written(const google::protobuf::Message& message) {
  v1::ComputeResponse copy;
  copy.CopyFrom(message);
  SentPayloads payloads;
  ReplaceTensorBytes(&copy, [&payloads](const std::string& field) {
    return payloads.Add(grpc::Slice(field));
  });
  return Join(WriteMessage(copy, payloads));
}

TEST(WriterTest, BytesAreThoseOfTheGeneratedClass) {
  // Copied and referenced ones, lengths of one to three bytes, several chunks.
  v1::ComputeResponse response;
  response.set_numerics_version("7");
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{127}, size_t{128}, kCopiedPayload,
        kCopiedPayload + 1, 2 * kCopiedPayload + 2, size_t{3} << 20}) {
    AddResult(bytes, &response);
    EXPECT_EQ(Written(response), response.SerializeAsString()) << bytes;
  }
  for (int i = 0; i < 2000; ++i) AddResult(1000, &response);
  EXPECT_EQ(Written(response), response.SerializeAsString());
  // The order of a map's entries is not the same twice.
  v1::ComputeResponse one;
  (*AddResult(9, &one)->mutable_extra_gradients())["variance"].set_data(
      std::string(5000, 'v'));
  EXPECT_EQ(Written(one), one.SerializeAsString());
}

TEST(WriterTest, AnEmptyMessageHasNoBytes) {
  EXPECT_EQ(Written(v1::ComputeResponse()), "");
}

TEST(WriterTest, LargePayloadsAreNotCopied) {
  const std::string bytes(kCopiedPayload + 1, 'x');
  v1::ComputeResponse response;
  SentPayloads payloads;
  response.add_results()->mutable_gradient()->set_data(payloads.Add(
      grpc::Slice(bytes.data(), bytes.size(), grpc::Slice::STATIC_SLICE)));
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(WriteMessage(response, payloads).Dump(&slices).ok());
  ASSERT_EQ(slices.size(), 2U);
  EXPECT_EQ(static_cast<const void*>(slices[1].begin()), bytes.data());
}

}  // namespace
}  // namespace lossd::wire
