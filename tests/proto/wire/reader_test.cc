// What is received is what the generated classes make of it.

#include "proto/wire/reader.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/proto/wire/differential.h"

namespace lossd::wire {
namespace {

constexpr uint32_t kCuts = 40;

// Of every kind of field.
v1::ComputeRequest Request() {
  v1::ComputeRequest request;
  request.set_numerics_version("7");
  v1::LossItem& defaults = *request.mutable_defaults();
  defaults.mutable_loss()->mutable_huber()->set_delta(0.5);
  defaults.mutable_mask()->set_dtype(v1::DTYPE_BOOL);
  defaults.mutable_mask()->set_data(std::string("\0\1\1", 3));
  for (const size_t bytes : {size_t{0}, size_t{5}, size_t{70000}}) {
    v1::LossItem& item = *request.add_items();
    item.set_normalizer(-0.0);
    item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT32);
    item.mutable_predictions()->add_shape(static_cast<int64_t>(bytes));
    item.mutable_predictions()->add_shape(-1);
    item.mutable_predictions()->set_data(std::string(bytes, 'p'));
    item.mutable_targets()->mutable_values()->add_values(3);
    item.mutable_upstream_gradient()->mutable_arena()->set_id(
        "0123456789abcdef");
    (*item.mutable_extra_inputs())["variance"].set_data(
        std::string(bytes + 1, 'v'));
    item.mutable_outputs()->set_gradient(true);
  }
  return request;
}

// A field of a message, hand-made: number, length, content.
std::string Field(int number, const std::string& content) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         static_cast<char>(content.size()) + content;
}

void ExpectSame(const std::string& bytes) {
  for (uint32_t seed = 1; seed <= kCuts; ++seed) {
    EXPECT_EQ(Difference(bytes, seed), "") << seed;
  }
}

TEST(ReaderTest, RequestsAnywhereCut) {
  ExpectSame(Request().SerializeAsString());
}

TEST(ReaderTest, PayloadsAreNotCopied) {
  const std::string bytes = Request().SerializeAsString();
  const grpc::ByteBuffer body = Cut(bytes, 1);
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(body.Dump(&slices).ok());
  v1::ComputeRequest request;
  ReceivedPayloads payloads;
  ASSERT_TRUE(ReadMessage(body, &request, &payloads));
  const Payload payload = payloads.Of(request.items(2).predictions().data());
  EXPECT_EQ(payload.size(), 70000U);
  ASSERT_FALSE(payload.is_whole());
  size_t found = 0;
  for (const auto& piece : payload.pieces()) {
    const auto* begin = reinterpret_cast<const uint8_t*>(piece.data());
    for (const grpc::Slice& slice : slices) {
      // Up to 23 bytes lie in the slice itself.
      if (slice.size() <= 23) continue;
      if (begin >= slice.begin() && begin < slice.end()) ++found;
    }
  }
  EXPECT_GT(found, 0U);
  EXPECT_EQ(payloads.Of(request.items(0).mask().data()).size(), 0U);
}

TEST(ReaderTest, TruncatedEverywhere) {
  v1::ComputeRequest request = Request();
  request.mutable_items()->RemoveLast();
  const std::string bytes = request.SerializeAsString();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(Difference(bytes.substr(0, size), 3), "") << size;
  }
}

TEST(ReaderTest, TruncatedInsideAnotherMessage) {
  v1::LossItem whole;
  whole.set_reduction(v1::REDUCTION_SUM);
  whole.set_normalizer(2);
  whole.mutable_predictions()->add_shape(1);
  whole.mutable_predictions()->set_data("data");
  (*whole.mutable_extra_inputs())["variance"].set_data("variance");
  const std::string item = whole.SerializeAsString();
  // What is behind may look like the end that is missing: fields if its first
  // byte is taken, and fields if it is not.
  for (const char* const behind : {"", "\x20\x20", "\x20\x20\x20"}) {
    for (size_t size = 0; size < item.size(); ++size) {
      ASSERT_EQ(Difference(Field(2, item.substr(0, size)) + behind, 3), "")
          << size;
    }
  }
}

TEST(ReaderTest, FieldsThatComeTwiceAreMerged) {
  const std::string tensor =
      Field(3, "first") + std::string("\x08\x01") + Field(3, "second");
  const std::string list_after_data = Field(3, "data") + Field(5, "");
  for (const std::string& predictions :
       {tensor, list_after_data, Field(5, "") + Field(3, "data")}) {
    const std::string item = Field(2, predictions) + Field(2, tensor);
    ExpectSame(Field(2, item));
    ExpectSame(Field(1, item) + Field(1, item) + Field(2, item));
  }
  // The same key, and an entry without one.
  const std::string entry = Field(1, "k") + Field(2, tensor);
  ExpectSame(Field(2, Field(6, entry) + Field(6, entry) +
                          Field(6, Field(2, tensor)) + Field(6, "")));
}

TEST(ReaderTest, WhatNoEncoderOfOursEmits) {
  const std::string data = Field(3, "data");
  const std::string item = Field(2, data);
  // A tag and a length with leading zeros or with more bits than there are, a
  // group, an unknown field of every type, the wrong type, number 0, an end
  // without a beginning.
  for (const std::string& field :
       {std::string("\x9A\x00\x04real", 7),
        std::string("\x1A\x84\x00real", 7),
        std::string("\x9A\x80\x80\x80\x80\x00\x04real", 11),
        std::string("\x9A\x80\x80\x80\x80\x80\x80\x80\x80\x02\x04real"),
        std::string("\x1A\x84\x80\x80\x80\x80\x80\x80\x80\x80\x02real"),
        std::string("\x1B\x1C"),
        std::string("\x1B"),
        std::string("\xA0\x06\x01"),
        std::string("\xA1\x06") + "12345678",
        std::string("\xA2\x06\x02ok"),
        std::string("\xA5\x06") + "1234",
        std::string("\x18\x05"),
        std::string("\x02\x01x"),
        std::string("\x1C"),
        std::string("\x1A\xFF\xFF\xFF\xFF\x07"),
        std::string("\x1A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
        std::string("\xA0\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
        std::string("\xA0\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"),
        std::string("\xFA\xFF\xFF\xFF\x0F\x01x"),
        std::string("\xFA\xFF\xFF\xFF\x1F\x01x")}) {
    ExpectSame(Field(2, Field(2, data + field)));
    ExpectSame(Field(2, Field(2, field + data)));
    ExpectSame(field + Field(2, item));
    ExpectSame(Field(2, item) + field);
  }
  ExpectSame(Field(3, "\xFF is no UTF-8"));
  ExpectSame(Field(2, Field(6, Field(1, "\xFF") + Field(2, data))));
}

// More payloads than are worth a place of their own.
TEST(ReaderTest, ManyEmptyPayloads) {
  std::string tensor;
  for (int i = 0; i < 3000; ++i) tensor += Field(3, "");
  tensor += Field(3, "last");
  const auto length = [](size_t size) {
    return std::string{static_cast<char>((size & 0x7F) | 0x80),
                       static_cast<char>(size >> 7)};
  };
  const std::string predictions = "\x12" + length(tensor.size()) + tensor;
  ExpectSame("\x12" + length(predictions.size()) + predictions);
}

TEST(ReaderTest, NothingIsNoMessage) {
  v1::ComputeRequest request;
  ReceivedPayloads payloads;
  EXPECT_FALSE(ReadMessage(grpc::ByteBuffer(), &request, &payloads));
}

}  // namespace
}  // namespace lossd::wire
