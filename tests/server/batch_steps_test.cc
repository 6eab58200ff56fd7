// How the work of a batch is cut, and what memory it asks for.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/proto/wire/differential.h"
#include "tests/server/batch_calls.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using test::BytesOf;
using test::Compute;
using test::ExpectRefused;
using test::kEnoughMemory;
using test::kMse;
using test::Parse;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// More than one wave of items, each with its own answer: every third is refused
// and every tenth large.
v1::ComputeRequest ManyItems(int items) {
  v1::ComputeRequest request;
  *request.mutable_defaults() =
      Parse<v1::LossItem>(absl::StrCat(kMse, "outputs { gradient: true }"));
  for (int i = 0; i < items; ++i) {
    const int elements = i % 100 == 0 ? 40'000 : 3;
    v1::LossItem& item = *request.add_items();
    for (v1::Tensor* tensor :
         {item.mutable_predictions(), item.mutable_targets()}) {
      tensor->set_dtype(v1::DTYPE_FLOAT32);
      tensor->add_shape(elements);
    }
    item.mutable_predictions()->set_data(BytesOf(std::vector<float>(
        static_cast<size_t>(elements), static_cast<float>(i))));
    item.mutable_targets()->set_data(BytesOf(
        std::vector<float>(static_cast<size_t>(elements - (i % 3 == 1)), 1)));
  }
  return request;
}

BatchLimits LimitsOfMany() {
  return {.threads = 1, .max_items = 16384, .max_message_bytes = 64 << 20};
}

TEST(BatchStepsTest, WavesOfItems) {
  constexpr int kItems = 2500;
  Metrics metrics(1);
  const auto response = Compute(ManyItems(kItems), LimitsOfMany(), metrics);
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->results_size(), kItems);
  int computed = 0;
  int elements = 0;
  for (int i = 0; i < kItems; ++i) {
    const v1::LossResult& result = response->results(i);
    if (i % 3 == 1) {
      ExpectRefused(result, absl::StatusCode::kInvalidArgument, "targets.data");
      continue;
    }
    ASSERT_EQ(result.status().code(), 0) << result.status().message();
    ASSERT_EQ(result.loss(), (i - 1.0) * (i - 1.0)) << i;
    ++computed;
    elements += static_cast<int>(result.gradient().shape(0));
  }
  const std::string page = metrics.Text();
  EXPECT_THAT(
      page, HasSubstr(absl::StrCat("lossd_items_total{code=\"OK\",loss=\"mean_"
                                   "squared_error\"} ",
                                   computed, "\n")));
  EXPECT_THAT(page, HasSubstr(absl::StrCat("lossd_items_total{code=\"INVALID_"
                                           "ARGUMENT\",loss=\"mean_"
                                           "squared_error\"} ",
                                           kItems - computed, "\n")));
  EXPECT_THAT(page,
              HasSubstr(absl::StrCat(
                  "lossd_item_elements_total{loss=\"mean_squared_error\"} ",
                  elements, "\n")));
}

// Tensors of all waves together must fit.
TEST(BatchStepsTest, TheLimitOfTheReplyIsThatOfAllWaves) {
  BatchLimits limits = LimitsOfMany();
  // 25 of the items are large, 160 KB each, the last 4 in the third wave. There
  // is room for 22 and the small ones; 7 of those are refused anyhow.
  limits.max_message_bytes = int64_t{160'000} * 23;
  Metrics metrics(1);
  const auto response = Compute(ManyItems(2500), limits, metrics);
  ASSERT_THAT(response, IsOk());
  int fit = 0;
  for (int i = 0; i < 2500; i += 100) {
    if (i % 3 == 1) continue;
    const bool ok = response->results(i).status().code() == 0;
    if (ok) ++fit;
    EXPECT_TRUE(ok ||
                response->results(i).status().code() ==
                    static_cast<int>(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(fit, 15);
}

TEST(BatchStepsTest, MemoryIsAskedForBeforeItIsTaken) {
  int64_t messages = 0;
  std::vector<int64_t> replies;
  const BatchMemory memory = {.for_messages =
                                  [&](int64_t bytes) {
                                    EXPECT_EQ(messages, 0);
                                    messages = bytes;
                                    return absl::OkStatus();
                                  },
                              .for_reply =
                                  [&](int64_t bytes) {
                                    replies.push_back(bytes);
                                    return absl::OkStatus();
                                  }};
  Metrics metrics(1);
  ASSERT_THAT(Compute(ManyItems(2500), LimitsOfMany(), metrics, memory),
              IsOk());
  // An item in memory is its message, two tensors and their shapes, and the
  // result; it takes a few hundred bytes.
  EXPECT_GT(messages, 2500 * 500);
  EXPECT_LT(messages, 2500 * 5000);
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_LT(replies[0], replies[1]);
  EXPECT_LT(replies[1], replies[2]);
  messages = 0;
  ASSERT_THAT(Compute(ManyItems(3), LimitsOfMany(), metrics, memory), IsOk());
  EXPECT_EQ(messages, 0);
}

TEST(BatchStepsTest, WithoutMemoryTheBatchEnds) {
  Metrics metrics(1);
  BatchMemory memory = kEnoughMemory;
  memory.for_messages = [](int64_t) {
    return absl::UnavailableError("no memory for messages");
  };
  EXPECT_THAT(Compute(ManyItems(2500), LimitsOfMany(), metrics, memory),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("no memory for messages")));
  memory = kEnoughMemory;
  memory.for_reply = [](int64_t bytes) {
    return bytes < 2'000'000 ? absl::OkStatus()
                             : absl::UnavailableError("no memory to reply");
  };
  EXPECT_THAT(Compute(ManyItems(2500), LimitsOfMany(), metrics, memory),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("no memory to reply")));
  // Nobody got what the first wave computed.
  EXPECT_THAT(metrics.Text(),
              Not(ContainsRegex("lossd_items_total\\{[^}]*\\} [1-9]")));
}

TEST(BatchStepsTest, TooManyExtraInputsInTheDefaults) {
  v1::ComputeRequest request = ManyItems(3);
  for (int i = 0; i < 17; ++i) {
    (*request.mutable_defaults()->mutable_extra_inputs())[absl::StrCat(i)];
  }
  Metrics metrics(1);
  EXPECT_THAT(Compute(request, LimitsOfMany(), metrics),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("defaults.extra_inputs: got 17 tensors")));
}

// A number of a list takes one byte here.
v1::Tensor ListOf(int numbers) {
  v1::Tensor tensor;
  tensor.set_dtype(v1::DTYPE_FLOAT16);
  tensor.mutable_int_values()->mutable_values()->Resize(numbers, 1);
  return tensor;
}

TEST(BatchStepsTest, MemoryOfListsIsAskedForBeforeTheyAreParsed) {
  v1::ComputeRequest request;
  *request.add_items()->mutable_predictions() = ListOf(60'000);
  int64_t asked = 0;
  BatchMemory memory = kEnoughMemory;
  memory.for_messages = [&](int64_t bytes) {
    asked = bytes;
    return absl::UnavailableError("no memory");
  };
  Metrics metrics(1);
  EXPECT_THAT(Compute(request, LimitsOfMany(), metrics, memory),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no memory")));
  EXPECT_GE(asked, 16 * 60'000);
}

TEST(BatchStepsTest, ListsThatWouldTakeLongToParse) {
  v1::ComputeRequest request;
  *request.add_items()->mutable_predictions() = ListOf((32 << 20) + 1);
  Metrics metrics(1);
  BufferPool pool(0);
  const BatchLimits limits = LimitsOfMany();
  Batch batch(wire::Cut(request.SerializeAsString(), 1 << 20), limits, metrics,
              pool, nullptr, kEnoughMemory, nullptr);
  batch.RunUnit(0);
  EXPECT_FALSE(batch.NextStep());
  EXPECT_THAT(batch.Reply(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("besides the data of tensors, allowed: at "
                                 "most 33554432")));
}

// Each list is a unit, and no small one.
TEST(BatchStepsTest, ListsAreUnitsOfWork) {
  v1::ComputeRequest request;
  *request.mutable_defaults()->mutable_targets() = ListOf(60'000);
  *request.mutable_defaults()->mutable_mask() = ListOf(60'000);
  for (int i = 0; i < 3; ++i) {
    *request.add_items()->mutable_predictions() = ListOf(60'000);
  }
  Metrics metrics(1);
  BufferPool pool(0);
  const BatchLimits limits = LimitsOfMany();
  Batch batch(wire::Cut(request.SerializeAsString(), 1 << 20), limits, metrics,
              pool, nullptr, kEnoughMemory, nullptr);
  batch.RunUnit(0);
  for (const size_t units : {2U, 3U}) {
    ASSERT_TRUE(batch.NextStep());
    ASSERT_EQ(batch.units(), units);
    EXPECT_GT(batch.unit_bytes(), 1'000'000U);
    for (size_t i = 0; i < units; ++i) batch.RunUnit(i);
  }
}

// A short request may be a lot of work.
TEST(BatchStepsTest, ManyItemsAreNoSmallStep) {
  Metrics metrics(1);
  BufferPool pool(0);
  const BatchLimits limits = LimitsOfMany();
  for (const auto& [items, small] : {std::pair{1, true}, {2000, false}}) {
    v1::ComputeRequest request;
    for (int i = 0; i < items; ++i) request.add_items();
    Batch batch(wire::Cut(request.SerializeAsString(), 1000), limits, metrics,
                pool, nullptr, kEnoughMemory, nullptr);
    batch.RunUnit(0);
    ASSERT_TRUE(batch.NextStep());
    EXPECT_EQ(batch.units() * batch.unit_bytes() < 100'000, small) << items;
  }
}

}  // namespace
}  // namespace lossd
