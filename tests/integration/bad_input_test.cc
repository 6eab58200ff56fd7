// Items that are refused: with which code, which field of the proto, which
// element, and what is said about it. The items beside them do not notice.

#include <cmath>
#include <memory>
#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/bad_items.h"
#include "tests/integration/running_server.h"

namespace lossd::test {
namespace {

using testing::HasSubstr;

class BadInputTest : public testing::TestWithParam<BadItem> {
 protected:
  static void SetUpTestSuite() {
    if (server_ == nullptr) server_ = std::make_unique<RunningServer>();
  }

  // For all tables; not ended before the program is.
  static inline std::unique_ptr<const RunningServer> server_;
};

TEST_P(BadInputTest, IsRefusedAlone) {
  const BadItem& bad = GetParam();
  const v1::LossResult alone = server_->Compute(GoodHuber());
  v1::ComputeRequest request;
  *request.add_items() = GoodHuber();
  *request.add_items() = bad.item;
  *request.add_items() = GoodHuber();
  const v1::ComputeResponse response = server_->Compute(request);
  EXPECT_EQ(alone.status().code(), 0);
  for (const int i : {0, 2}) {
    EXPECT_EQ(response.results(i).SerializeAsString(),
              alone.SerializeAsString());
  }

  v1::LossResult result = response.results(1);
  const v1::ItemStatus status = result.status();
  EXPECT_EQ(status.code(), bad.code) << status.DebugString();
  EXPECT_THAT(status.message(), HasSubstr(bad.field));
  EXPECT_THAT(status.message(), HasSubstr(bad.got));
  if (bad.code == grpc::UNIMPLEMENTED) {
    EXPECT_THAT(status.message(), HasSubstr("not served by lossd "));
  }
  ASSERT_EQ(status.violations_size(), 1) << status.DebugString();
  const v1::FieldViolation& violation = status.violations(0);
  EXPECT_EQ(violation.field(), bad.field);
  EXPECT_EQ(
      violation.has_index() ? std::optional(violation.index()) : std::nullopt,
      bad.index);
  EXPECT_EQ(violation.got(), bad.got);
  EXPECT_NE(violation.allowed(), "");
  EXPECT_THAT(violation.allowed(), HasSubstr(bad.allowed));

  EXPECT_TRUE(std::isnan(result.loss()));
  result.clear_status();
  result.clear_loss();
  EXPECT_EQ(result.ByteSizeLong(), 0u) << result.DebugString();
  EXPECT_TRUE(server_->Serving());
}

std::string NameOfRow(const testing::TestParamInfo<BadItem>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Tensors, BadInputTest, testing::ValuesIn(BadTensors()),
                         NameOfRow);
INSTANTIATE_TEST_SUITE_P(Lists, BadInputTest, testing::ValuesIn(BadLists()),
                         NameOfRow);
INSTANTIATE_TEST_SUITE_P(Elements, BadInputTest,
                         testing::ValuesIn(BadElements()), NameOfRow);
INSTANTIATE_TEST_SUITE_P(OptionalInputs, BadInputTest,
                         testing::ValuesIn(BadOptionalInputs()), NameOfRow);
INSTANTIATE_TEST_SUITE_P(Losses, BadInputTest, testing::ValuesIn(BadLosses()),
                         NameOfRow);
INSTANTIATE_TEST_SUITE_P(NotServed, BadInputTest,
                         testing::ValuesIn(ItemsNotServed()), NameOfRow);

TEST(BadItemLimitsTest, LongTextsAreCut) {
  const RunningServer server;
  v1::LossItem item = Named(std::string(5000, 'x'));
  v1::ItemStatus status = server.Compute(item).status();
  EXPECT_EQ(status.code(), grpc::INVALID_ARGUMENT);
  EXPECT_LE(status.message().size(), 1024u);
  EXPECT_LE(status.violations(0).got().size(), 100u);
  EXPECT_LE(status.violations(0).allowed().size(), 300u);
  EXPECT_THAT(status.message(), HasSubstr("allowed: mse, "));
  item = Named("huber");
  OptionOf(item, std::string(5000, 'x')).set_number_value(1);
  status = server.Compute(item).status();
  EXPECT_EQ(status.code(), grpc::INVALID_ARGUMENT);
  EXPECT_LE(status.message().size(), 1024u);
  EXPECT_LE(status.violations(0).field().size(), 200u);
  EXPECT_THAT(status.message(), HasSubstr("allowed: delta"));
}

}  // namespace
}  // namespace lossd::test
