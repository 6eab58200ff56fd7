// What the items of a batch share.

#include "server/item_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;

v1::LossItem Item(const std::string& text) {
  v1::LossItem item;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &item));
  return item;
}

class ItemCodecTest : public testing::Test {
 protected:
  void SetDefaults(const std::string& text) {
    defaults_ = Item(text);
    shared_.Collect(defaults_);
    for (size_t i = 0; i < shared_.size(); ++i) shared_.Decode(i, {payloads_});
  }
  absl::Status Decode(const v1::LossItem& item, DecodedItem* decoded) {
    return decoded->Decode(Merge(defaults_, item), context_);
  }

  v1::LossItem defaults_;
  wire::ReceivedPayloads payloads_;
  SharedTensors shared_;
  ItemLosses losses_;
  const ItemContext context_{{payloads_}, shared_, losses_};
};

// A list is converted once, however many items take it.
TEST_F(ItemCodecTest, TensorsOfTheDefaultsAreDecodedOnce) {
  SetDefaults(
      "loss { huber {} } targets { dtype: DTYPE_FLOAT32 values { values: 1 } }"
      "extra_inputs { key: 'x' value { values { values: 2 } } }");
  const v1::LossItem item =
      Item("predictions { dtype: DTYPE_FLOAT32 values { values: 3 } }");
  DecodedItem first;
  DecodedItem second;
  ASSERT_THAT(Decode(item, &first), IsOk());
  ASSERT_THAT(Decode(item, &second), IsOk());
  EXPECT_EQ(first.inputs().targets.data.data(),
            second.inputs().targets.data.data());
  EXPECT_EQ(first.inputs().extra_inputs[0].tensor.data.data(),
            second.inputs().extra_inputs[0].tensor.data.data());
  EXPECT_NE(first.inputs().predictions.data.data(),
            second.inputs().predictions.data.data());
  EXPECT_EQ(first.own_tensors().size(), 1U);
  // Three doubles and floats, two of them shared.
  EXPECT_EQ(first.work_bytes(), 4U + 4U + 8U);
}

TEST_F(ItemCodecTest, ABadTensorOfTheDefaultsIsOfWhoTakesIt) {
  SetDefaults(
      "loss { huber {} } targets { dtype: DTYPE_INT32 values { values: 0.5 } }"
      "predictions { values { values: 3 } }");
  DecodedItem takes;
  EXPECT_THAT(Decode({}, &takes), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("targets.values[0]")));
  DecodedItem has_its_own;
  EXPECT_THAT(Decode(Item("targets { values { values: 0.5 } }"), &has_its_own),
              IsOk());
}

TEST_F(ItemCodecTest, TooManyExtraInputs) {
  std::string text = "predictions { values { values: 3 } } loss { huber {} }";
  for (int i = 0; i < 17; ++i) {
    text += "extra_inputs { key: 'x" + std::to_string(i) +
            "' value { values { values: 2 } } }";
  }
  DecodedItem item;
  EXPECT_THAT(Decode(Item(text), &item),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("extra_inputs: got 17 tensors, allowed: at "
                                 "most 16")));
  EXPECT_TRUE(item.own_tensors().empty());
}

TEST(ItemLossesTest, RemembersTheLastLoss) {
  ItemLosses losses;
  const v1::Loss huber = Item("loss { huber {} }").loss();
  const auto first = losses.Decode(huber, v1::SEMANTICS_STRICT);
  EXPECT_EQ(losses.Decode(v1::Loss(huber), v1::SEMANTICS_STRICT), first);
  const auto keras = losses.Decode(huber, v1::SEMANTICS_KERAS);
  EXPECT_EQ(keras->semantics, Semantics::kKeras);
  const auto other = losses.Decode(Item("loss { huber { delta: 2 } }").loss(),
                                   v1::SEMANTICS_KERAS);
  EXPECT_EQ(other->in_force.huber().delta(), 2);
  const auto hinge =
      losses.Decode(Item("loss { hinge {} }").loss(), v1::SEMANTICS_KERAS);
  EXPECT_EQ(hinge->name, "hinge");
}

TEST(ItemLossesTest, RefusedIsRememberedToo) {
  ItemLosses losses;
  const v1::Loss none = Item("loss { named { name: 'none' } }").loss();
  const auto refused = losses.Decode(none, v1::SEMANTICS_STRICT);
  EXPECT_THAT(refused->status, StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("loss.named.name")));
  EXPECT_EQ(losses.Decode(none, v1::SEMANTICS_STRICT), refused);
}

}  // namespace
}  // namespace lossd
