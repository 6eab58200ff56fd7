#include "server/status_adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;

TEST(StatusAdapterTest, NoStatusIsWithoutText) {
  EXPECT_EQ(ToGrpcStatus(absl::Status(absl::StatusCode::kUnavailable, ""))
                .error_message(),
            "UNAVAILABLE");
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_EQ(ToGrpcStatus(absl::OkStatus()).error_message(), "");
}

TEST(StatusAdapterTest, TextsAreCutBetweenCharacters) {
  EXPECT_EQ(CutText("short", 5), "short");
  EXPECT_EQ(CutText("longer text", 8), "longe...");
  // Each of these has two bytes.
  EXPECT_EQ(CutText("éééé", 7), "éé...");
  EXPECT_EQ(CutText("éééé", 6), "é...");
  const std::string text(5000, 'x');
  EXPECT_EQ(ToGrpcStatus(absl::InternalError(text)).error_message().size(),
            1024);
}

TEST(StatusAdapterTest, AnItemsViolation) {
  const v1::ItemStatus item = ToItemStatus(InvalidField(
      {"predictions.data", 3, std::string(200, '9'), "finite numbers"}));
  EXPECT_EQ(item.code(), 3);
  EXPECT_THAT(item.message(), HasSubstr("predictions.data[3]: got 999"));
  ASSERT_EQ(item.violations_size(), 1);
  EXPECT_EQ(item.violations(0).field(), "predictions.data");
  EXPECT_EQ(item.violations(0).index(), 3);
  EXPECT_EQ(item.violations(0).got().size(), 100);
  EXPECT_EQ(item.violations(0).allowed(), "finite numbers");
}

TEST(StatusAdapterTest, WhatIsNotServedNamesTheFieldAndTheVersion) {
  const v1::ItemStatus item =
      ToItemStatus(NotServed("predictions.arena", "an arena", "arenas are"));
  EXPECT_EQ(item.code(), 12);
  EXPECT_EQ(item.message(),
            "predictions.arena: arenas are not served by "
            "lossd " LOSSD_VERSION);
  ASSERT_EQ(item.violations_size(), 1);
  EXPECT_EQ(item.violations(0).field(), "predictions.arena");
  EXPECT_FALSE(item.violations(0).has_index());
}

}  // namespace
}  // namespace lossd
