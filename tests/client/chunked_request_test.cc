// What a call is cut into.

#include "client/chunked_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace lossd {
namespace {

using client_internal::ChunkedRequest;
using client_internal::ChunkLimits;
using client_internal::LentMemory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr ChunkLimits kLarge = {int64_t{1} << 28, int64_t{1} << 20};
constexpr size_t kHead = 4096;

v1::ComputeStreamRequest Parsed(grpc::ByteBuffer body) {
  v1::ComputeStreamRequest message;
  grpc::Slice bytes;
  EXPECT_TRUE(body.DumpToSingleSlice(&bytes).ok());
  EXPECT_TRUE(
      message.ParseFromArray(bytes.begin(), static_cast<int>(bytes.size())));
  return message;
}

// All messages of a call, and what its tensors are when put together.
struct Sent {
  v1::LossItem item;
  std::map<std::string, std::string> tensors;
  // Of the chunks, in order.
  std::vector<std::string> names;
  std::vector<size_t> sizes;
};

Sent Send(const LossCall& call, const ChunkLimits& limits,
          const std::map<std::string, size_t>& element_bytes) {
  LentMemory memory;
  auto request = ChunkedRequest::Make(call, "fake-1", limits, &memory);
  EXPECT_TRUE(request.ok()) << request.status();
  Sent sent;
  const size_t header = request->header().Length();
  auto body = request->Next();
  EXPECT_EQ(body->Length(), header);
  const v1::ComputeStreamRequest first = Parsed(*body);
  EXPECT_EQ(first.header().numerics_version(), "fake-1");
  sent.item = first.header().item();
  while ((body = request->Next())) {
    EXPECT_LE(body->Length(), static_cast<size_t>(limits.message));
    const v1::StreamChunk chunk = Parsed(*body).chunk();
    std::string& data = sent.tensors[chunk.tensor()];
    const size_t bytes = element_bytes.at(chunk.tensor());
    EXPECT_EQ(static_cast<size_t>(chunk.first_element()), data.size() / bytes);
    EXPECT_EQ(chunk.data().size() % bytes, 0u);
    EXPECT_FALSE(chunk.data().empty());
    data += chunk.data();
    sent.names.push_back(chunk.tensor());
    sent.sizes.push_back(chunk.data().size());
  }
  EXPECT_FALSE(request->Next());
  return sent;
}

template <class T>
std::vector<T> Counted(size_t count) {
  std::vector<T> numbers(count);
  std::iota(numbers.begin(), numbers.end(), T{0});
  return numbers;
}

template <class T>
std::string Bytes(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()),
          numbers.size() * sizeof(T)};
}

class ChunkedRequestTest : public ::testing::Test {
 protected:
  // Logits and labels of `rows`, without a mask.
  LossCall Call(size_t rows, size_t columns) {
    predictions_ = Counted<float>(rows * columns);
    labels_ = Counted<int64_t>(rows);
    LossCall call;
    call.loss.mutable_sparse_categorical_cross_entropy();
    call.predictions = ViewOf(predictions_, {static_cast<int64_t>(rows),
                                             static_cast<int64_t>(columns)});
    call.targets = ViewOf(labels_);
    return call;
  }

  static const std::map<std::string, size_t>& ElementBytes() {
    static const std::map<std::string, size_t> bytes = {
        {"predictions", 4},  {"targets", 8},        {"mask", 1},
        {"positive", 4},     {"sample_weights", 8}, {"upstream_gradient", 8},
        {"class_weights", 8}};
    return bytes;
  }

  std::vector<float> predictions_;
  std::vector<int64_t> labels_;
};

TEST_F(ChunkedRequestTest, WhatDecidesAboutTheDivisorIsInTheHeader) {
  LossCall call = Call(1000, 3);
  const std::vector<uint8_t> mask(1000, 1);
  const std::vector<double> numbers = Counted<double>(1000);
  call.mask = ViewOf(mask);
  call.sample_weights = ViewOf(numbers);
  call.upstream_gradient = ViewOf(numbers);
  const Sent sent = Send(call, kLarge, ElementBytes());
  EXPECT_EQ(sent.item.mask().data(), Bytes(mask));
  EXPECT_EQ(sent.item.sample_weights().data(), Bytes(numbers));
  EXPECT_EQ(sent.item.upstream_gradient().data(), Bytes(numbers));
  EXPECT_EQ(sent.item.targets().data(), Bytes(labels_));
  EXPECT_EQ(sent.item.predictions().storage_case(),
            v1::Tensor::STORAGE_NOT_SET);
  EXPECT_THAT(sent.item.predictions().shape(), ElementsAre(1000, 3));
  EXPECT_THAT(sent.names, ElementsAre("predictions"));
  EXPECT_EQ(sent.tensors.at("predictions"), Bytes(predictions_));
}

// The most important first, as far as there is room.
TEST_F(ChunkedRequestTest, AsFarAsTheHeaderHasRoom) {
  LossCall call = Call(1000, 3);
  const std::vector<uint8_t> mask(1000, 1);
  const std::vector<double> weights(1000);
  call.mask = ViewOf(mask);
  call.sample_weights = ViewOf(weights);
  const auto streamed = [&](int64_t room) {
    return Send(call, {kLarge.message, room}, ElementBytes()).names;
  };
  EXPECT_THAT(streamed(17000), ElementsAre("predictions"));
  EXPECT_THAT(streamed(16999), ElementsAre("targets", "predictions"));
  EXPECT_THAT(streamed(8999),
              UnorderedElementsAre("sample_weights", "targets", "predictions"));
  EXPECT_THAT(streamed(-1), UnorderedElementsAre("mask", "sample_weights",
                                                 "targets", "predictions"));
}

TEST_F(ChunkedRequestTest, NumbersOfColumnsAndSingleOnesAreInTheHeader) {
  constexpr size_t kColumns = 20000;
  LossCall call = Call(2, kColumns);
  const std::vector<double> columns = Counted<double>(kColumns);
  const std::vector<double> factor = {3};
  call.extra_inputs["class_weights"] = ViewOf(columns);
  call.upstream_gradient = ViewOf(factor);
  const Sent sent = Send(call, {kLarge.message, 0}, ElementBytes());
  EXPECT_EQ(sent.item.extra_inputs().at("class_weights").data(),
            Bytes(columns));
  EXPECT_EQ(sent.item.upstream_gradient().data(), Bytes(factor));
  EXPECT_THAT(sent.names, ElementsAre("targets", "predictions"));
}

// Dense targets do not count rows, but class weights make them divisors.
TEST_F(ChunkedRequestTest, DenseTargetsAreInTheHeaderBesideClassWeights) {
  LossCall call = Call(1000, 3);
  const std::vector<float> dense(3000, 0.5F);
  call.targets = ViewOf(dense, {1000, 3});
  EXPECT_THAT(Send(call, kLarge, {{"predictions", 4}, {"targets", 4}}).names,
              ElementsAre("targets", "predictions"));
  const std::vector<double> columns(3, 1);
  call.extra_inputs["class_weights"] = ViewOf(columns);
  EXPECT_THAT(Send(call, kLarge, {{"predictions", 4}, {"targets", 4}}).names,
              ElementsAre("predictions"));
}

// Whatever the limit, all tensors advance together, and what belongs to a row
// is never behind its predictions.
TEST_F(ChunkedRequestTest, TensorsAdvanceTogether) {
  for (const auto& [rows, columns] : std::vector<std::pair<size_t, size_t>>{
           {70001, 13}, {3, 300007}, {1, 400001}, {300007, 1}}) {
    for (const int64_t limit : {int64_t{40000}, int64_t{1} << 28}) {
      SCOPED_TRACE(::testing::Message()
                   << rows << 'x' << columns << ' ' << limit);
      LossCall call = Call(rows, columns);
      const std::vector<float> positive = Counted<float>(rows * columns);
      call.extra_inputs["positive"] = ViewOf(positive, call.predictions->shape);
      const Sent sent = Send(call, {limit, 0}, ElementBytes());
      EXPECT_EQ(sent.tensors.at("predictions"), Bytes(predictions_));
      EXPECT_EQ(sent.tensors.at("targets"), Bytes(labels_));
      EXPECT_EQ(sent.tensors.at("positive"), Bytes(positive));
      std::map<std::string, size_t> elements;
      for (size_t i = 0; i < sent.names.size(); ++i) {
        elements[sent.names[i]] +=
            sent.sizes[i] / ElementBytes().at(sent.names[i]);
        if (sent.names[i] != "predictions") continue;
        const size_t begun = (elements["predictions"] - 1) / columns + 1;
        EXPECT_GE(elements["targets"], begun);
        EXPECT_EQ(elements["positive"], elements["predictions"]);
      }
      const size_t most = *std::ranges::max_element(sent.sizes);
      EXPECT_LE(most, std::min<size_t>(size_t{2} << 20,
                                       static_cast<size_t>(limit) / 4 - kHead));
    }
  }
}

TEST_F(ChunkedRequestTest, WithoutElementsThereIsButAHeader) {
  EXPECT_THAT(Send(Call(0, 3), kLarge, {}).names, IsEmpty());
  EXPECT_THAT(Send({}, kLarge, {}).names, IsEmpty());
  // Nor of what the server will refuse.
  LossCall call = Call(10, 3);
  call.predictions->shape = {-10, 3};
  EXPECT_THAT(Send(call, {kLarge.message, 0}, ElementBytes()).names,
              ElementsAre("targets"));
}

TEST_F(ChunkedRequestTest, MemoryOfAnotherSizeIsRefused) {
  LentMemory memory;
  LossCall call = Call(10, 3);
  call.predictions->bytes -= 1;
  EXPECT_THAT(
      ChunkedRequest::Make(call, "", kLarge, &memory).status().message(),
      HasSubstr("predictions.data: got 119 bytes, allowed: 30 x 4 bytes"));
  call.predictions->bytes += 1;
  call.predictions->data = nullptr;
  EXPECT_THAT(
      ChunkedRequest::Make(call, "", kLarge, &memory).status().message(),
      HasSubstr("predictions.data: got null"));
}

TEST_F(ChunkedRequestTest, ChunksAreTheCallersMemory) {
  LentMemory memory;
  const LossCall call = Call(100000, 10);
  auto request = ChunkedRequest::Make(call, "", kLarge, &memory);
  ASSERT_TRUE(request.ok());
  // The labels, in the header.
  EXPECT_EQ(memory.lent(), 1u);
  request->Next();
  EXPECT_EQ(memory.lent(), 0u);
  const auto chunk = request->Next();
  EXPECT_EQ(memory.lent(), 1u);
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(chunk->Dump(&slices).ok());
  EXPECT_EQ(static_cast<const void*>(slices.back().begin()),
            predictions_.data());
}

}  // namespace
}  // namespace lossd
