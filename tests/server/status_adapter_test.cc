#include "server/status_adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/error_details.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
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
  const v1::ItemStatus item = ToItemStatus(
      NotServed({"predictions.arena", std::nullopt, "an arena", "data"}));
  EXPECT_EQ(item.code(), 12);
  EXPECT_EQ(item.message(), "not served by lossd " LOSSD_VERSION
                            ": predictions.arena: got an arena, allowed: data");
  ASSERT_EQ(item.violations_size(), 1);
  EXPECT_EQ(item.violations(0).field(), "predictions.arena");
  EXPECT_EQ(item.violations(0).got(), "an arena");
  EXPECT_EQ(item.violations(0).allowed(), "data");
  EXPECT_FALSE(item.violations(0).has_index());
}

TEST(StatusAdapterTest, LongNamesLeaveRoomForWhatIsAllowed) {
  const FieldViolation violation = {"extra_inputs." + std::string(3000, 'x'),
                                    std::nullopt, std::string(3000, 'y'),
                                    "no extra inputs"};
  for (const absl::Status& status :
       {InvalidField(violation), NotServed(violation)}) {
    const v1::ItemStatus item = ToItemStatus(status);
    EXPECT_LE(item.message().size(), 1024);
    EXPECT_THAT(item.message(),
                AllOf(HasSubstr("extra_inputs.xxx"), HasSubstr("...: got yyy"),
                      EndsWith("..., allowed: no extra inputs")));
    EXPECT_EQ(item.violations(0).field().size(), 200);
  }
}

// The one detail of a status that is not OK.
template <class Detail>
Detail DetailOf(const absl::Status& status) {
  const grpc::Status sent = ToGrpcStatus(status);
  v1::Status trailer;
  EXPECT_TRUE(trailer.ParseFromString(sent.error_details()));
  EXPECT_EQ(trailer.code(), sent.error_code());
  EXPECT_EQ(trailer.message(), sent.error_message());
  Detail detail;
  EXPECT_EQ(trailer.details_size(), 1);
  if (trailer.details_size() != 1) return detail;
  EXPECT_EQ(trailer.details(0).type_url(),
            "type.googleapis.com/google.rpc." + Detail::descriptor()->name());
  EXPECT_TRUE(detail.ParseFromString(trailer.details(0).value()));
  return detail;
}

TEST(StatusAdapterTest, DetailsTellProgramsWhatToDo) {
  const auto request = DetailOf<v1::BadRequest>(
      InvalidField({"items", 3, "nothing", "an item"}));
  ASSERT_EQ(request.field_violations_size(), 1);
  EXPECT_EQ(request.field_violations(0).field(), "items");
  EXPECT_EQ(request.field_violations(0).description(),
            "items[3]: got nothing, allowed: an item");

  const auto quota = DetailOf<v1::QuotaFailure>(LimitExceeded("items", "many"));
  ASSERT_EQ(quota.violations_size(), 1);
  EXPECT_EQ(quota.violations(0).subject(), "items");
  EXPECT_EQ(quota.violations(0).description(), "many");

  const auto info =
      DetailOf<v1::ErrorInfo>(NumericsVersionMismatch("theirs", "ours"));
  EXPECT_EQ(info.reason(), "NUMERICS_VERSION_MISMATCH");
  EXPECT_EQ(info.domain(), "lossd");
  EXPECT_EQ(info.metadata().at("wanted"), "theirs");
  EXPECT_EQ(info.metadata().at("served"), "ours");

  const auto retry = DetailOf<v1::RetryInfo>(TryAgain("busy", 1.25));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 250'000'000);
}

TEST(StatusAdapterTest, NoDetailsNoTrailer) {
  for (const absl::Status& status : {absl::OkStatus(), absl::InternalError("x"),
                                     absl::InvalidArgumentError("no field")}) {
    EXPECT_EQ(ToGrpcStatus(status).error_details(), "");
  }
}

}  // namespace
}  // namespace lossd
