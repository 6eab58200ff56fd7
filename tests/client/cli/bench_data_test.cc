// What bench sends, and what it expects.

#include "client/cli/bench_data.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/bench_calls.h"
#include "client/cli/bench_expected.h"
#include "client/cli/bench_flags.h"
#include "client/cli/options_reflection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lossd/v1/loss_service.pb.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

v1::LossItem Item(const std::string& name, const BenchShape& shape,
                  uint64_t seed = 1) {
  auto loss = MakeLoss(name);
  EXPECT_THAT(loss, IsOk());
  SetNeededOptions(&*loss);
  auto item = MakeItem(*loss, shape, seed);
  EXPECT_THAT(item, IsOk());
  item->mutable_outputs()->set_gradient(true);
  item->mutable_outputs()->set_row_losses(true);
  return *std::move(item);
}

// Also for one that is added tomorrow, whose inputs may want something new.
TEST(BenchDataTest, EveryLossTakesWhatIsMadeForIt) {
  for (const v1::Loss& loss : AllLosses()) {
    const std::string& name = InfoOf(loss).name();
    for (const v1::Dtype dtype : {v1::DTYPE_FLOAT32, v1::DTYPE_FLOAT64,
                                  v1::DTYPE_FLOAT16, v1::DTYPE_BFLOAT16}) {
      for (const auto& [rows, columns] :
           {std::pair{1, 2}, std::pair{70, 1}, std::pair{33, 40}}) {
        const v1::LossItem item = Item(name, {rows, columns, dtype});
        const auto expected = ExpectedResult(item);
        EXPECT_THAT(expected, IsOk()) << name;
        if (!expected.ok()) continue;
        EXPECT_EQ(expected->gradient().data().size(),
                  item.predictions().data().size());
        EXPECT_FALSE(expected->row_losses().data().empty()) << name;
      }
    }
  }
}

TEST(BenchDataTest, SeedsDecide) {
  const BenchShape shape{10, 3, v1::DTYPE_FLOAT32};
  const std::string item = Item("mse", shape).SerializeAsString();
  EXPECT_EQ(Item("mse", shape).SerializeAsString(), item);
  EXPECT_NE(Item("mse", shape, 2).SerializeAsString(), item);
}

TEST(BenchDataTest, ASingleBitIsADifference) {
  const auto expected = ExpectedResult(Item("gaussian_nll", {5, 4}));
  ASSERT_THAT(expected, IsOk());
  ASSERT_EQ(expected->extra_gradients_size(), 1);
  EXPECT_TRUE(SameBits(*expected, *expected));
  v1::LossResult other = *expected;
  other.set_loss(std::nextafter(other.loss(), 1e9));
  EXPECT_FALSE(SameBits(other, *expected));
  for (v1::Tensor* const tensor :
       {other.mutable_gradient(), other.mutable_row_losses(),
        &other.mutable_extra_gradients()->begin()->second}) {
    other.set_loss(expected->loss());
    tensor->mutable_data()->back() ^= 1;
    EXPECT_FALSE(SameBits(other, *expected));
    tensor->mutable_data()->back() ^= 1;
    EXPECT_TRUE(SameBits(other, *expected));
  }
  other.mutable_extra_gradients()->clear();
  EXPECT_FALSE(SameBits(other, *expected));
  EXPECT_FALSE(SameBits(*expected, other));
}

// -0 and +0 are equal numbers, NaN is not even itself.
TEST(BenchDataTest, BitsAreComparedNotNumbers) {
  v1::LossResult zero;
  v1::LossResult negative;
  negative.set_loss(-0.0);
  EXPECT_FALSE(SameBits(zero, negative));
  v1::LossResult nan;
  nan.set_loss(NAN);
  EXPECT_TRUE(SameBits(nan, nan));
}

std::vector<std::pair<std::string, std::string>> MixOf(
    const BenchFlags& flags) {
  const auto kinds = KindsOf(flags);
  EXPECT_THAT(kinds, IsOk());
  std::vector<std::pair<std::string, std::string>> mix;
  for (const BenchKind& kind : *kinds) {
    mix.emplace_back(InfoOf(kind.loss).name(),
                     absl::StrCat(kind.shape.rows, "x", kind.shape.columns));
  }
  return mix;
}

TEST(BenchMixTest, EveryLossWithEverySize) {
  EXPECT_THAT(MixOf({.losses = {"mse", "bce"}, .rows = {2, 3}, .columns = {4}}),
              ElementsAre(Pair("mean_squared_error", "2x4"),
                          Pair("mean_squared_error", "3x4"),
                          Pair("binary_cross_entropy", "2x4"),
                          Pair("binary_cross_entropy", "3x4")));
  EXPECT_THAT(MixOf({.elements = {20, 40}, .columns = {5, 2}}),
              ElementsAre(Pair("mean_squared_error", "4x5"),
                          Pair("mean_squared_error", "8x5"),
                          Pair("mean_squared_error", "10x2"),
                          Pair("mean_squared_error", "20x2")));
}

v1::GetServerInfoResponse ServerOf(int64_t limit) {
  v1::GetServerInfoResponse info;
  info.set_numerics_version("any");
  info.mutable_limits()->set_max_message_bytes(limit);
  return info;
}

TEST(BenchMixTest, CallsAreRequestsWithTheirAnswers) {
  const BenchFlags flags{.losses = {"mse", "scce"},
                         .rows = {3},
                         .columns = {2},
                         .items = 4,
                         .check = true};
  const auto calls = MakeCalls(*KindsOf(flags), flags, ServerOf(1 << 20));
  ASSERT_THAT(calls, IsOk());
  ASSERT_EQ(calls->size(), 2U);
  for (const BenchCall& call : *calls) {
    EXPECT_EQ(call.items, 4);
    EXPECT_EQ(call.elements, 6);
    v1::ComputeRequest request;
    ASSERT_TRUE(request.ParseFromString(call.request));
    EXPECT_EQ(request.numerics_version(), "any");
    ASSERT_EQ(request.items_size(), 4);
    ASSERT_EQ(call.expected.size(), 4U);
    EXPECT_NE(request.items(0).predictions().data(),
              request.items(1).predictions().data());
    EXPECT_NE(call.expected[0].loss(), call.expected[1].loss());
    EXPECT_TRUE(request.items(3).outputs().gradient());
  }
}

TEST(BenchMixTest, RequestsBeyondTheLimitAreRefusedBeforeTheyAreMade) {
  BenchFlags flags{
      .rows = {1'000'000'000}, .columns = {1'000'000'000}, .items = 1'000'000};
  EXPECT_THAT(MakeCalls(*KindsOf(flags), flags, ServerOf(1 << 20)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--items: got 1000000 times 1000000000 x "
                                 "1000000000, a request of 3999999")));
  // Predictions alone would fit.
  flags = {.rows = {100}, .columns = {1}, .items = 1};
  EXPECT_THAT(MakeCalls(*KindsOf(flags), flags, ServerOf(800)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("allowed: 800 bytes")));
  EXPECT_THAT(MakeCalls(*KindsOf(flags), flags, ServerOf(900)), IsOk());
}

}  // namespace
}  // namespace lossd::cli
