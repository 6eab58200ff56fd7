// Items whose tensors are in arenas, as messages, without a socket.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/arena/arena_range.h"
#include "server/arena/arena_registry.h"
#include "tests/proto/wire/differential.h"
#include "tests/server/batch_calls.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using test::BytesOf;
using test::ExpectRefused;
using test::kMse;
using test::Parse;

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr size_t kArenaBytes = 1 << 20;

class ArenaItemsTest : public testing::Test {
 protected:
  ArenaItemsTest() {
    absl::StatusOr<ArenaRegistry::Granted> granted =
        registry_.Create(1, kArenaBytes);
    EXPECT_THAT(granted, IsOk());
    id_ = granted->id;
    arena_ = granted->arena;
  }

  std::string id() const {
    return {reinterpret_cast<const char*>(id_.data()), id_.size()};
  }

  v1::ArenaRef Ref(uint64_t offset, uint64_t length) const {
    v1::ArenaRef ref;
    ref.set_id(id());
    ref.set_offset(offset);
    ref.set_length(length);
    return ref;
  }

  // The tensor's data, if any, goes to the arena.
  void Move(uint64_t offset, v1::Tensor* tensor) const {
    const std::string data = tensor->data();
    Write(offset, data);
    *tensor->mutable_arena() = Ref(offset, data.size());
  }

  void Write(uint64_t offset, const std::string& bytes) const {
    std::memcpy(arena_->memory().data() + offset, bytes.data(), bytes.size());
  }

  std::string Read(const v1::ArenaRef& ref) const {
    return {
        reinterpret_cast<const char*>(arena_->memory().data()) + ref.offset(),
        ref.length()};
  }

  absl::StatusOr<v1::ComputeResponse> Compute(const v1::ComputeRequest& request,
                                              int64_t limit = 1 << 20) {
    Metrics metrics(1);
    return test::Compute(
        request, {.threads = 1, .max_items = 4096, .max_message_bytes = limit},
        metrics, test::kEnoughMemory, arenas_);
  }

  v1::LossResult ComputeItem(const v1::LossItem& item) {
    v1::ComputeRequest request;
    *request.add_items() = item;
    const auto response = Compute(request);
    EXPECT_THAT(response, IsOk());
    return response.ok() ? response->results(0) : v1::LossResult();
  }

  MemoryBudget budget_{int64_t{1} << 30, 0};
  ArenaRegistry registry_{{.arenas_per_owner = 8,
                           .bytes_per_owner = int64_t{1} << 28,
                           .arenas = 8,
                           .bytes = int64_t{1} << 28},
                          budget_};
  const ArenaRegistry* arenas_ = &registry_;
  arena::Id id_ = {};
  std::shared_ptr<Arena> arena_;
};

v1::Tensor TensorOf(const std::vector<float>& numbers,
                    const std::vector<int64_t>& shape) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::DTYPE_FLOAT32);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  tensor.set_data(BytesOf(numbers));
  return tensor;
}

v1::LossItem Item(size_t rows) {
  v1::LossItem item = Parse<v1::LossItem>(kMse);
  std::vector<float> predictions(rows * 2);
  std::vector<float> targets(rows * 2);
  for (size_t i = 0; i < rows * 2; ++i) {
    predictions[i] = static_cast<float>(i % 97) / 8;
    targets[i] = static_cast<float>(i % 89) / 4;
  }
  const std::vector<int64_t> shape = {static_cast<int64_t>(rows), 2};
  *item.mutable_predictions() = TensorOf(predictions, shape);
  *item.mutable_targets() = TensorOf(targets, shape);
  item.mutable_outputs()->set_gradient(true);
  return item;
}

// Small items and large ones, at any alignment, beside inline tensors.
TEST_F(ArenaItemsTest, AnyTensorInAnArenaGivesTheSameBits) {
  for (const size_t rows : {5U, 30'000U}) {
    const v1::LossItem inline_item = Item(rows);
    const v1::LossResult expected = ComputeItem(inline_item);
    ASSERT_EQ(expected.status().code(), 0) << expected.DebugString();
    v1::LossItem item = inline_item;
    Move(3, item.mutable_targets());
    v1::LossResult result = ComputeItem(item);
    EXPECT_EQ(result.SerializeAsString(), expected.SerializeAsString());
    Move(500'000, item.mutable_predictions());
    result = ComputeItem(item);
    EXPECT_EQ(result.SerializeAsString(), expected.SerializeAsString());
  }
}

TEST_F(ArenaItemsTest, EveryInputMayBeThere) {
  v1::LossItem item = Parse<v1::LossItem>(
      "loss { sparse_categorical_cross_entropy {"
      "  prediction_kind: PREDICTION_KIND_LOGITS } }"
      "reduction: REDUCTION_NONE outputs { gradient: true }");
  *item.mutable_predictions() =
      TensorOf({0.5, 2, -1, 0.25, 1, 3, 0, -2, 0.75}, {3, 3});
  const auto add = [](v1::Tensor* tensor, v1::Dtype dtype,
                      const std::string& data) {
    tensor->set_dtype(dtype);
    tensor->add_shape(3);
    tensor->set_data(data);
  };
  add(item.mutable_targets(), v1::DTYPE_INT64,
      BytesOf(std::vector<int64_t>{2, 0, 1}));
  add(item.mutable_sample_weights(), v1::DTYPE_FLOAT32,
      BytesOf(std::vector<float>{1, 0.5, 2}));
  add(item.mutable_mask(), v1::DTYPE_BOOL, std::string("\1\0\1", 3));
  add(item.mutable_upstream_gradient(), v1::DTYPE_FLOAT64,
      BytesOf(std::vector<double>{1, 3, -0.5}));
  add(&(*item.mutable_extra_inputs())["class_weights"], v1::DTYPE_FLOAT64,
      BytesOf(std::vector<double>{1, 0.5, 2}));
  const v1::LossResult expected = ComputeItem(item);
  ASSERT_EQ(expected.status().code(), 0) << expected.DebugString();
  Move(1, item.mutable_predictions());
  Move(101, item.mutable_targets());
  Move(201, item.mutable_sample_weights());
  Move(301, item.mutable_mask());
  Move(401, item.mutable_upstream_gradient());
  Move(501, &(*item.mutable_extra_inputs())["class_weights"]);
  EXPECT_EQ(ComputeItem(item).SerializeAsString(),
            expected.SerializeAsString());
}

TEST_F(ArenaItemsTest, OutputsGoWhereTheyAreWanted) {
  for (const size_t rows : {4U, 30'000U}) {
    v1::LossItem item = Item(rows);
    item.mutable_outputs()->set_row_losses(true);
    const v1::LossResult expected = ComputeItem(item);
    // Not aligned, and a byte apart.
    const v1::ArenaRef gradient = Ref(1, rows * 8);
    const v1::ArenaRef row_losses = Ref(rows * 8 + 2, rows * 8);
    *item.mutable_outputs()->mutable_gradient_to() = gradient;
    *item.mutable_outputs()->mutable_row_losses_to() = row_losses;
    const v1::LossResult result = ComputeItem(item);
    ASSERT_EQ(result.status().code(), 0) << result.DebugString();
    EXPECT_EQ(Read(gradient), expected.gradient().data());
    EXPECT_EQ(Read(row_losses), expected.row_losses().data());
    EXPECT_EQ(result.gradient().arena().SerializeAsString(),
              gradient.SerializeAsString());
    EXPECT_EQ(result.gradient().dtype(), v1::DTYPE_FLOAT32);
    EXPECT_EQ(result.gradient().shape(0), static_cast<int64_t>(rows));
    EXPECT_EQ(result.row_losses().arena().SerializeAsString(),
              row_losses.SerializeAsString());
    EXPECT_EQ(result.loss(), expected.loss());
  }
}

TEST_F(ArenaItemsTest, ExtraGradients) {
  v1::LossItem item = Parse<v1::LossItem>(
      "loss { gaussian_nll {} } outputs { gradient: true }");
  *item.mutable_predictions() = TensorOf({0.5, 2, -1}, {3, 1});
  *item.mutable_targets() = TensorOf({1, 2, 3}, {3, 1});
  (*item.mutable_extra_inputs())["variance"] = TensorOf({1, 0.5, 4}, {3, 1});
  const v1::LossResult expected = ComputeItem(item);
  ASSERT_EQ(expected.status().code(), 0) << expected.DebugString();
  const v1::ArenaRef to = Ref(64, 12);
  (*item.mutable_outputs()->mutable_extra_gradients_to())["variance"] = to;
  v1::LossResult result = ComputeItem(item);
  EXPECT_EQ(Read(to), expected.extra_gradients().at("variance").data());
  EXPECT_EQ(result.extra_gradients().at("variance").arena().offset(), 64U);
  EXPECT_EQ(result.gradient().data(), expected.gradient().data());

  (*item.mutable_outputs()->mutable_extra_gradients_to())["mean"] = to;
  result = ComputeItem(item);
  ExpectRefused(result, absl::StatusCode::kInvalidArgument,
                "outputs.extra_gradients_to.mean");
  EXPECT_THAT(result.status().message(), HasSubstr("variance"));
}

TEST_F(ArenaItemsTest, TheGradientMayReplaceThePredictions) {
  for (const size_t rows : {3U, 30'000U}) {
    v1::LossItem item = Item(rows);
    const v1::LossResult expected = ComputeItem(item);
    Move(0, item.mutable_predictions());
    *item.mutable_outputs()->mutable_gradient_to() = item.predictions().arena();
    const v1::LossResult result = ComputeItem(item);
    EXPECT_EQ(result.loss(), expected.loss());
    EXPECT_EQ(Read(item.predictions().arena()), expected.gradient().data());
  }
}

// A reply whose outputs are elsewhere has no size to speak of.
TEST_F(ArenaItemsTest, WhatIsNotInTheReplyNeedsNoRoomThere) {
  v1::ComputeRequest request;
  *request.add_items() = Item(30'000);
  EXPECT_EQ(Compute(request, 4096)->results(0).status().code(),
            static_cast<int>(absl::StatusCode::kResourceExhausted));
  *request.mutable_items(0)->mutable_outputs()->mutable_gradient_to() =
      Ref(0, 240'000);
  EXPECT_EQ(Compute(request, 4096)->results(0).status().code(), 0);
}

// Lists of numbers are answered in lists, but for what goes to an arena.
TEST_F(ArenaItemsTest, OutputsOfListsMayGoToArenas) {
  v1::LossItem item = Parse<v1::LossItem>(
      absl::StrCat(kMse,
                   "predictions { values { values: [1, 2] } } "
                   "targets { values { values: [0, 4] } } "
                   "outputs { gradient: true row_losses: true }"));
  *item.mutable_outputs()->mutable_gradient_to() = Ref(8, 16);
  const v1::LossResult result = ComputeItem(item);
  ASSERT_EQ(result.status().code(), 0) << result.DebugString();
  EXPECT_EQ(Read(Ref(8, 16)), BytesOf(std::vector<double>{1, -2}));
  EXPECT_EQ(result.row_losses().values().values_size(), 2);
}

// What could tell a guesser that he is near.
TEST_F(ArenaItemsTest, IdsThatAreNoneAreAllTheSame) {
  absl::StatusOr<ArenaRegistry::Granted> freed = registry_.Create(2, 4096);
  ASSERT_THAT(freed, IsOk());
  const std::string freed_id(reinterpret_cast<const char*>(freed->id.data()),
                             freed->id.size());
  ASSERT_THAT(registry_.Free(2, freed->id), IsOk());
  std::optional<std::string> first;
  std::string near = id();
  near[15] = static_cast<char>(near[15] ^ 1);
  for (const std::string& id :
       {std::string(), std::string("abc"), std::string(16, '\0'), near,
        id() + "x", id().substr(0, 15), freed_id}) {
    v1::LossItem item = Item(2);
    item.mutable_predictions()->mutable_arena()->set_id(id);
    item.mutable_predictions()->mutable_arena()->set_length(16);
    const v1::LossResult result = ComputeItem(item);
    ExpectRefused(result, absl::StatusCode::kNotFound, "predictions.arena.id");
    if (!first) first = result.SerializeAsString();
    EXPECT_EQ(result.SerializeAsString(), *first);
  }
}

TEST_F(ArenaItemsTest, RangesMustBeInside) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  for (const auto& [offset, length] :
       std::vector<std::pair<uint64_t, uint64_t>>{{kArenaBytes - 15, 16},
                                                  {kArenaBytes + 1, 0},
                                                  {kMost, 16},
                                                  {kMost - 15, 16},
                                                  {16, kMost},
                                                  {0, kArenaBytes + 1}}) {
    v1::LossItem item = Item(2);
    *item.mutable_targets()->mutable_arena() = Ref(offset, length);
    const v1::LossResult result = ComputeItem(item);
    ExpectRefused(result, absl::StatusCode::kInvalidArgument, "targets.arena");
    EXPECT_THAT(
        result.status().message(),
        AllOf(HasSubstr(absl::StrCat("offset ", offset, ", length ", length)),
              HasSubstr("1048576 bytes")));
  }
  v1::LossItem item = Item(2);
  Move(kArenaBytes - 16, item.mutable_targets());
  EXPECT_EQ(ComputeItem(item).status().code(), 0);
}

TEST_F(ArenaItemsTest, RangesMustHaveTheSizeOfTheTensor) {
  v1::LossItem item = Item(2);
  *item.mutable_predictions()->mutable_arena() = Ref(0, 12);
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "predictions.arena");
  for (const uint64_t length : {0U, 8U, 15U, 17U}) {
    item = Item(2);
    *item.mutable_outputs()->mutable_gradient_to() = Ref(0, length);
    const v1::LossResult result = ComputeItem(item);
    ExpectRefused(result, absl::StatusCode::kInvalidArgument,
                  "outputs.gradient_to.length");
    EXPECT_THAT(result.status().message(), HasSubstr("16 bytes"));
  }
  item = Item(2);
  item.mutable_outputs()->set_row_losses(true);
  *item.mutable_outputs()->mutable_row_losses_to() = Ref(0, 8);
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "outputs.row_losses_to.length");
}

TEST_F(ArenaItemsTest, DestinationsOfWhatIsNotWanted) {
  v1::LossItem item = Item(2);
  item.mutable_outputs()->set_gradient(false);
  *item.mutable_outputs()->mutable_gradient_to() = Ref(0, 16);
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "outputs.gradient_to");
  item = Item(2);
  *item.mutable_outputs()->mutable_row_losses_to() = Ref(0, 16);
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "outputs.row_losses_to");
  // Those of NONE are always there.
  item.set_reduction(v1::REDUCTION_NONE);
  EXPECT_EQ(ComputeItem(item).status().code(), 0);
}

TEST_F(ArenaItemsTest, WithoutArenasNothingIsServed) {
  arenas_ = nullptr;
  v1::LossItem item = Item(2);
  Move(0, item.mutable_predictions());
  ExpectRefused(ComputeItem(item), absl::StatusCode::kUnimplemented,
                "predictions.arena");
  item = Parse<v1::LossItem>(
      "loss { gaussian_nll {} } outputs { gradient: true }");
  *item.mutable_predictions() = TensorOf({0.5}, {1, 1});
  *item.mutable_targets() = TensorOf({1}, {1, 1});
  (*item.mutable_extra_inputs())["variance"] = TensorOf({1}, {1, 1});
  (*item.mutable_outputs()->mutable_extra_gradients_to())["variance"] =
      Ref(0, 4);
  ExpectRefused(ComputeItem(item), absl::StatusCode::kUnimplemented,
                "outputs.extra_gradients_to.variance");
}

// An element in an arena that is refused is named as such.
TEST_F(ArenaItemsTest, RefusedElements) {
  v1::LossItem item = Item(2);
  Move(0, item.mutable_predictions());
  Write(8,
        BytesOf(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}));
  const v1::LossResult result = ComputeItem(item);
  ExpectRefused(result, absl::StatusCode::kInvalidArgument,
                "predictions.arena");
  EXPECT_EQ(result.status().violations(0).index(), 2);
}

// A request holds its arenas, whatever their owner does.
TEST_F(ArenaItemsTest, FreedWhileItIsUsed) {
  v1::LossItem item = Item(2);
  const v1::LossResult expected = ComputeItem(item);
  Move(0, item.mutable_predictions());
  *item.mutable_outputs()->mutable_gradient_to() = Ref(64, 16);
  v1::ComputeRequest request;
  *request.add_items() = item;
  const BatchLimits limits = {
      .threads = 1, .max_items = 1, .max_message_bytes = 1 << 20};
  Metrics metrics(1);
  BufferPool pool(0);
  Batch batch(wire::Cut(request.SerializeAsString(), 7), limits, metrics, pool,
              arenas_, test::kEnoughMemory, nullptr);
  batch.RunUnit(0);
  ASSERT_TRUE(batch.NextStep());
  batch.RunUnit(0);
  const std::weak_ptr<Arena> watched = arena_;
  ASSERT_THAT(registry_.Free(1, id_), IsOk());
  arena_.reset();
  EXPECT_FALSE(watched.expired());
  while (batch.NextStep()) batch.RunUnit(0);
  const absl::StatusOr<grpc::ByteBuffer> reply = batch.Reply();
  ASSERT_THAT(reply, IsOk());
  EXPECT_TRUE(watched.expired());
  v1::ComputeResponse response;
  ASSERT_TRUE(response.ParseFromString(wire::Join(*reply)));
  EXPECT_EQ(response.results(0).loss(), expected.loss());
  ExpectRefused(ComputeItem(item), absl::StatusCode::kNotFound,
                "predictions.arena.id");
}

TEST(ArenasOfTest, OnlyOnThisMachine) {
  MemoryBudget budget(1 << 20, 0);
  const ArenaRegistry registry({}, budget);
  for (const char* peer :
       {"unix:/tmp/socket", "unix:", "ipv4:127.0.0.1:5", "ipv4:127.9.9.9:5",
        "ipv6:[::1]:5", "ipv6:%5B::1%5D:5"}) {
    EXPECT_EQ(ArenasOf(&registry, peer), &registry) << peer;
    EXPECT_EQ(ArenasOf(nullptr, peer), nullptr) << peer;
  }
  for (const char* peer :
       {"ipv4:10.0.0.1:5", "ipv4:1.127.0.1:5", "ipv6:[::2]:5",
        "ipv6:%5Bfe80::1%5D:5", "", "vsock"}) {
    EXPECT_EQ(ArenasOf(&registry, peer), nullptr) << peer;
  }
}

class ArenaOverlapsTest : public ArenaItemsTest {
 protected:
  // An item of 4 floats with predictions, targets and gradient there; no place
  // means inline.
  v1::LossItem At(std::optional<uint64_t> predictions,
                  std::optional<uint64_t> targets,
                  std::optional<uint64_t> gradient) {
    v1::LossItem item = Item(2);
    if (predictions) Move(*predictions, item.mutable_predictions());
    if (targets) Move(*targets, item.mutable_targets());
    if (gradient) {
      *item.mutable_outputs()->mutable_gradient_to() = Ref(*gradient, 16);
    }
    return item;
  }

  // Which items are refused for an overlap; all others are OK.
  std::vector<int> Refused(const std::vector<v1::LossItem>& items) {
    v1::ComputeRequest request;
    for (const v1::LossItem& item : items) *request.add_items() = item;
    const auto response = Compute(request);
    EXPECT_THAT(response, IsOk());
    std::vector<int> refused;
    for (int i = 0; i < response->results_size(); ++i) {
      const v1::ItemStatus& status = response->results(i).status();
      if (status.code() == 0) continue;
      EXPECT_THAT(status.message(), HasSubstr("memory of"));
      EXPECT_EQ(status.violations(0).field(), "outputs.gradient_to");
      refused.push_back(i);
    }
    return refused;
  }
};

using Places = std::vector<int>;

TEST_F(ArenaOverlapsTest, WithinAnItem) {
  EXPECT_EQ(Refused({At(0, 100, 16)}), Places{});
  EXPECT_EQ(Refused({At(16, 100, 0)}), Places{});
  EXPECT_EQ(Refused({At(0, 100, 0)}), Places{});
  EXPECT_EQ(Refused({At(0, 100, 1)}), Places{0});
  EXPECT_EQ(Refused({At(1, 100, 0)}), Places{0});
  EXPECT_EQ(Refused({At(0, 100, 115)}), Places{0});
  EXPECT_EQ(Refused({At(0, 100, 100)}), Places{0});
  // The same inputs, and a gradient in their place.
  EXPECT_EQ(Refused({At(0, 0, {})}), Places{});
  EXPECT_EQ(Refused({At(0, 0, 0)}), Places{0});
}

TEST_F(ArenaOverlapsTest, BetweenItems) {
  EXPECT_EQ(Refused({At(0, 16, 32), At(0, 16, 48)}), Places{});
  EXPECT_EQ(Refused({At(0, 16, 32), At(0, 16, 40)}), (Places{0, 1}));
  // Whose output it is, is at fault, whoever comes first.
  EXPECT_EQ(Refused({At(0, 16, 32), At(32, 16, {})}), Places{0});
  EXPECT_EQ(Refused({At(32, 16, {}), At(0, 16, 32)}), Places{1});
  // In place, and another item reads it.
  EXPECT_EQ(Refused({At(0, {}, 0), At({}, 8, {})}), Places{0});
  // An output that hides others behind it, two ways.
  v1::LossItem wide = Item(20);
  *wide.mutable_outputs()->mutable_gradient_to() = Ref(0, 160);
  EXPECT_EQ(Refused({wide, At({}, {}, 16), At(24, {}, {})}), (Places{0, 1}));
  EXPECT_EQ(Refused({At({}, {}, 16), wide, At(100, {}, {})}), (Places{0, 1}));
  // An input that hides another.
  v1::LossItem reads = Item(20);
  Move(0, reads.mutable_predictions());
  EXPECT_EQ(Refused({reads, At(16, {}, {}), At({}, {}, 100)}), Places{2});
}

TEST_F(ArenaOverlapsTest, WithTheDefaults) {
  v1::ComputeRequest request;
  *request.mutable_defaults() = At(0, 16, {});
  request.mutable_defaults()->mutable_outputs()->set_gradient(true);
  for (const uint64_t gradient : {32U, 48U, 0U}) {
    v1::Outputs& outputs = *request.add_items()->mutable_outputs();
    outputs.set_gradient(true);
    *outputs.mutable_gradient_to() = Ref(gradient, 16);
  }
  const auto response = Compute(request);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->results(0).status().code(), 0);
  EXPECT_EQ(response->results(1).status().code(), 0);
  EXPECT_THAT(response->results(2).status().message(),
              HasSubstr("memory of items[0].predictions"));
}

// An output of the defaults would be that of all items.
TEST_F(ArenaOverlapsTest, ADestinationOfTheDefaultsIsForOneItem) {
  v1::ComputeRequest request;
  *request.mutable_defaults() = At(0, 16, 32);
  request.add_items();
  EXPECT_EQ(Compute(request)->results(0).status().code(), 0);
  request.add_items();
  EXPECT_THAT(Compute(request)->results(1).status().message(),
              HasSubstr("memory of items[0].outputs.gradient_to"));
}

// Whose names are kept nowhere but in the message.
TEST_F(ArenaOverlapsTest, WithExtraInputs) {
  v1::LossItem item = Parse<v1::LossItem>(
      "loss { gaussian_nll {} } outputs { gradient: true }");
  *item.mutable_predictions() = TensorOf({0.5, 2, -1}, {3, 1});
  *item.mutable_targets() = TensorOf({1, 2, 3}, {3, 1});
  v1::Tensor& variance = (*item.mutable_extra_inputs())["variance"];
  variance = TensorOf({1, 0.5, 4}, {3, 1});
  Move(0, &variance);
  *item.mutable_outputs()->mutable_gradient_to() = Ref(8, 12);
  EXPECT_THAT(ComputeItem(item).status().message(),
              HasSubstr("memory of extra_inputs.variance"));
  *item.mutable_outputs()->mutable_gradient_to() = Ref(12, 12);
  (*item.mutable_outputs()->mutable_extra_gradients_to())["variance"] =
      Ref(0, 12);
  const v1::LossResult result = ComputeItem(item);
  ExpectRefused(result, absl::StatusCode::kInvalidArgument,
                "outputs.extra_gradients_to.variance");
  EXPECT_THAT(result.status().message(),
              HasSubstr("memory of extra_inputs.variance"));
}

// Other arenas do not matter, nor do ranges that nothing is in.
TEST_F(ArenaOverlapsTest, OtherArenas) {
  v1::LossItem item = At(0, 16, 32);
  absl::StatusOr<ArenaRegistry::Granted> other = registry_.Create(1, 4096);
  ASSERT_THAT(other, IsOk());
  item.mutable_outputs()->mutable_gradient_to()->set_id(
      reinterpret_cast<const char*>(other->id.data()), other->id.size());
  item.mutable_outputs()->mutable_gradient_to()->set_offset(0);
  EXPECT_EQ(Refused({item}), Places{});
}

}  // namespace
}  // namespace lossd
