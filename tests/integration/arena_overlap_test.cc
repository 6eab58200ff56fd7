// Where outputs may go, over all items of a request.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/arena_neighbours.h"
#include "tests/integration/messages.h"
#include "tests/support/random.h"

namespace lossd::test {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kBytes = uint64_t{1} << 20;
constexpr int64_t kRows = 4;
// Of predictions, targets, gradient and row losses alike.
constexpr uint64_t kTensorBytes = kRows * 2 * sizeof(float);
constexpr int kInvalid = static_cast<int>(absl::StatusCode::kInvalidArgument);

class ArenaOverlapTest : public ArenaNeighboursTest {
 protected:
  ArenaOverlapTest() : client_(path()), arena_(client_, kBytes) {}
  void TearDown() override {
    // The fixture's own is no neighbour that has gone.
    EXPECT_EQ(client_.Free(arena_.id()).reply.code, 0U);
    Await("lossd_arenas", 1);
    ExpectUnharmed();
  }

  // Everything of it in the arena, the tensors at these places.
  struct Places {
    uint64_t predictions = 0;
    uint64_t targets = 0;
    uint64_t gradient = 0;
    uint64_t row_losses = 0;
  };
  v1::LossItem ItemAt(const Places& places) const {
    v1::LossItem item = MseItem(kRows);
    item.mutable_outputs()->set_row_losses(true);
    arena_.Move(places.predictions, item.mutable_predictions());
    arena_.Move(places.targets, item.mutable_targets());
    *item.mutable_outputs()->mutable_gradient_to() =
        arena_.Ref(places.gradient, kTensorBytes);
    *item.mutable_outputs()->mutable_row_losses_to() =
        arena_.Ref(places.row_losses, kTensorBytes);
    return item;
  }

  const ArenaClient client_;
  const OwnArena arena_;
};

bool Overlap(uint64_t a, uint64_t b) {
  return a < b + kTensorBytes && b < a + kTensorBytes;
}

// By the words of the proto, pair by pair.
std::vector<bool> Refused(
    const std::vector<std::vector<std::pair<uint64_t, bool>>>& items) {
  std::vector<bool> refused(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    for (size_t j = 0; j < items.size(); ++j) {
      for (size_t a = 0; a < items[i].size(); ++a) {
        for (size_t b = 0; b < items[j].size(); ++b) {
          const auto& [place, output] = items[i][a];
          const auto& [other, unused] = items[j][b];
          const bool same = i == j && a == b;
          // Predictions are 0, the gradient is 2.
          const bool in_place = i == j && a == 2 && b == 0 && place == other;
          if (output && !same && !in_place && Overlap(place, other)) {
            refused[i] = true;
          }
        }
      }
    }
  }
  return refused;
}

// Many small requests whose ranges meet in all the ways there are, and what is
// not refused has the right bits.
TEST_F(ArenaOverlapTest, AnyWayOverTheItemsOfARequest) {
  v1::LossItem plain = MseItem(kRows);
  plain.mutable_outputs()->set_row_losses(true);
  const v1::LossResult expected = server_.Compute(plain);
  Random random(1);
  int all_fine = 0;
  int some_refused = 0;
  for (int round = 0; round < 1000; ++round) {
    // Few places a range apart, so that many meet, some by an element
    // only: what inputs write over each other is still numbers.
    const int64_t room = 4 + random.Below(60);
    const auto place = [&] {
      return static_cast<uint64_t>(random.Below(room)) * kTensorBytes +
             (random.Chance(0.1) ? sizeof(float) : 0);
    };
    v1::ComputeRequest request;
    std::vector<std::vector<std::pair<uint64_t, bool>>> ranges;
    for (int64_t items = 1 + random.Below(3); items > 0; --items) {
      Places places = {place(), place(), place(), place()};
      if (random.Chance(0.3)) places.gradient = places.predictions;
      *request.add_items() = ItemAt(places);
      ranges.push_back({{places.predictions, false},
                        {places.targets, false},
                        {places.gradient, true},
                        {places.row_losses, true}});
    }
    const std::vector<bool> refused = Refused(ranges);
    const v1::ComputeResponse response = server_.Compute(request);
    bool any = false;
    for (size_t i = 0; i < refused.size(); ++i) {
      any |= refused[i];
      const v1::LossResult& result = response.results(static_cast<int>(i));
      EXPECT_EQ(result.status().code(), refused[i] ? kInvalid : 0)
          << request.DebugString() << result.status().message();
      if (refused[i]) {
        EXPECT_THAT(
            result.status().violations(0).field(),
            testing::AnyOf("outputs.gradient_to", "outputs.row_losses_to"));
      }
    }
    ++(any ? some_refused : all_fine);
    // Inputs may have been written over each other while they were laid out.
    if (any || request.items_size() > 1) continue;
    const Places places = {ranges[0][0].first, ranges[0][1].first,
                           ranges[0][2].first, ranges[0][3].first};
    if (Overlap(places.predictions, places.targets)) continue;
    EXPECT_EQ(response.results(0).loss(), expected.loss());
    EXPECT_EQ(arena_.Read(arena_.Ref(places.gradient, kTensorBytes)),
              expected.gradient().data());
    EXPECT_EQ(arena_.Read(arena_.Ref(places.row_losses, kTensorBytes)),
              expected.row_losses().data());
  }
  EXPECT_GT(all_fine, 100);
  EXPECT_GT(some_refused, 100);
}

// What is shared by all items, and so belongs to none.
TEST_F(ArenaOverlapTest, DestinationsInTheDefaults) {
  v1::ComputeRequest request;
  *request.mutable_defaults() = ItemAt({0, 100, 200, 300});
  request.add_items();
  EXPECT_EQ(server_.Compute(request).results(0).status().code(), 0);
  request.add_items();
  const v1::ComputeResponse response = server_.Compute(request);
  for (const v1::LossResult& result : response.results()) {
    EXPECT_EQ(result.status().code(), kInvalid);
  }
}

// An item that is refused for another reason still counts: whoever computes
// first could not know.
TEST_F(ArenaOverlapTest, WithAnItemThatFails) {
  v1::ComputeRequest request;
  *request.add_items() = ItemAt({0, 100, 200, 300});
  *request.add_items() = ItemAt({400, 500, 200, 600});
  request.mutable_items(1)->mutable_predictions()->set_dtype(v1::DTYPE_BOOL);
  const v1::ComputeResponse response = server_.Compute(request);
  for (const v1::LossResult& result : response.results()) {
    EXPECT_EQ(result.status().code(), kInvalid);
  }
}

TEST_F(ArenaOverlapTest, NumbersAtTheirEnds) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  const std::vector<std::pair<uint64_t, uint64_t>> outside = {
      {kMost, 1},
      {kMost, kMost},
      {0, kMost},
      {kBytes - 31, 32},
      {kBytes, 32},
      {kMost - 31, 32},
      {uint64_t{1} << 63, uint64_t{1} << 63},
      {kBytes + 1, 0},
      {kMost, 0}};
  using Change = std::function<void(const v1::ArenaRef&, v1::LossItem*)>;
  const std::vector<Change> changes = {
      [](const v1::ArenaRef& ref, v1::LossItem* item) {
        *item->mutable_predictions()->mutable_arena() = ref;
      },
      [](const v1::ArenaRef& ref, v1::LossItem* item) {
        *item->mutable_targets()->mutable_arena() = ref;
      },
      [](const v1::ArenaRef& ref, v1::LossItem* item) {
        *item->mutable_outputs()->mutable_gradient_to() = ref;
      },
      [](const v1::ArenaRef& ref, v1::LossItem* item) {
        *item->mutable_outputs()->mutable_row_losses_to() = ref;
      }};
  v1::ComputeRequest request;
  for (const auto& [offset, length] : outside) {
    for (const Change& change : changes) {
      v1::LossItem& item = *request.add_items();
      item = MseItem(kRows);
      item.mutable_outputs()->set_row_losses(true);
      change(arena_.Ref(offset, length), &item);
    }
  }
  v1::ComputeResponse response = server_.Compute(request);
  for (const v1::LossResult& result : response.results()) {
    EXPECT_EQ(result.status().code(), kInvalid) << result.DebugString();
  }

  // Shapes that no range could have, whatever their product comes to.
  request.Clear();
  const std::vector<std::vector<int64_t>> shapes = {
      {kLargest},
      {kLargest, 2},
      {int64_t{1} << 32, int64_t{1} << 32},
      {int64_t{1} << 61},
      {int64_t{1} << 61, 2, 0},
      {int64_t{1} << 62, int64_t{1} << 62, 4},
      {-1, -8},
      {-8},
      std::vector<int64_t>(9, 1),
      std::vector<int64_t>(100'000, 2)};
  for (const std::vector<int64_t>& shape : shapes) {
    for (const uint64_t length : {uint64_t{0}, kTensorBytes}) {
      v1::LossItem& item = *request.add_items();
      item = ItemAt({0, 100, 200, 300});
      for (v1::Tensor* tensor :
           {item.mutable_predictions(), item.mutable_targets()}) {
        tensor->mutable_shape()->Assign(shape.begin(), shape.end());
        tensor->mutable_arena()->set_length(length);
      }
      item.mutable_outputs()->mutable_gradient_to()->set_length(length);
      item.mutable_outputs()->mutable_row_losses_to()->set_length(length);
    }
  }
  response = server_.Compute(request);
  for (const v1::LossResult& result : response.results()) {
    EXPECT_EQ(result.status().code(), kInvalid) << result.DebugString();
  }
}

// A stream need not bring what its header announces.
TEST_F(ArenaOverlapTest, AStreamOfMoreThanThereIsRoomFor) {
  for (const auto& dtype : {v1::DTYPE_FLOAT32, v1::DTYPE_FLOAT64}) {
    for (const int64_t rows : {int64_t{1} << 60, int64_t{1} << 61,
                               (int64_t{1} << 61) + 4, int64_t{4}}) {
      v1::ComputeStreamRequest header;
      v1::LossItem& item = *header.mutable_header()->mutable_item();
      item.mutable_loss()->mutable_mean_squared_error();
      item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT16);
      item.mutable_predictions()->add_shape(rows);
      *item.mutable_targets() = item.predictions();
      item.mutable_outputs()->set_gradient(true);
      item.mutable_outputs()->set_gradient_dtype(dtype);
      const uint64_t length =
          static_cast<uint64_t>(rows) * (dtype == v1::DTYPE_FLOAT32 ? 4 : 8);
      *item.mutable_outputs()->mutable_gradient_to() =
          arena_.Ref(kBytes - 32, rows == 4 ? length - 1 : length);
      const auto reply = server_.Send("/lossd.v1.LossService/ComputeStream",
                                      {header.SerializeAsString()});
      EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_THAT(reply.status.error_message(),
                  HasSubstr("outputs.gradient_to"));
    }
  }
}

TEST_F(ArenaOverlapTest, NothingOfNothing) {
  v1::LossItem item = MseItem(0);
  *item.mutable_predictions()->mutable_arena() = arena_.Ref(kBytes, 0);
  *item.mutable_targets()->mutable_arena() = arena_.Ref(0, 0);
  *item.mutable_outputs()->mutable_gradient_to() = arena_.Ref(0, 0);
  const v1::LossResult inline_result = server_.Compute(MseItem(0));
  const v1::LossResult result = server_.Compute(item);
  EXPECT_EQ(result.status().code(), inline_result.status().code());
  EXPECT_EQ(result.loss(), inline_result.loss());
}

}  // namespace
}  // namespace lossd::test
